"""Writes metric histories to files that other tools read: CSV, Parquet, TensorBoard's event files."""

import csv
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

from modelyard.domain.errors import MissingExtraError, StoreError, UserError
from modelyard.domain.run import Run
from modelyard.store import Store
from modelyard.store.home import disk_full

COLUMNS = ("run", "experiment", "metric", "step", "time", "value", "attempt")
"""Columns of the CSV and Parquet files; ``time`` is seconds since 1970 (UTC)."""

_Row = tuple[str, str, str, int, float, float, int]


class Format(StrEnum):
    """What ``export_metrics`` can write."""

    CSV = "csv"
    PARQUET = "parquet"
    TENSORBOARD = "tensorboard"


_SUFFIXES = {".csv": Format.CSV, ".parquet": Format.PARQUET}


def choose_format(path: Path, kind: Format | None = None) -> Format:
    """Return the format that the file's name says, or ``kind``. Raises ``UserError`` if neither or both differ."""
    said = _SUFFIXES.get(path.suffix.lower())
    if kind is None and said is None:
        raise UserError(
            f"{path}: say what to write with --format csv, parquet or tensorboard, or name it .csv or .parquet"
        )
    if kind is not None and said is not None and kind is not said:
        raise UserError(f"{path} is named like a {said.value} file, but the format is {kind.value}; change one of them")
    return kind or said or Format.CSV


def export_metrics(store: Store, runs: Sequence[Run], path: Path, kind: Format, *, force: bool = False) -> int:
    """Write the history of every metric of ``runs`` and return the number of points.

    ``path`` is a file, or for TensorBoard a folder that gets one folder per run. Raises ``UserError`` if it exists and
    ``force`` is not set, ``MissingExtraError`` if a library is missing, ``StoreError`` if it cannot be written.
    """
    if path.exists() and not force:
        raise UserError(f"{path} exists; choose another name, or overwrite it with --force")
    if not path.parent.is_dir():
        raise UserError(f"{path.parent} is not a folder")
    writers: dict[Format, Callable[[Store, Sequence[Run], Path], int]] = {
        Format.CSV: _write_csv,
        Format.PARQUET: _write_parquet,
        Format.TENSORBOARD: _write_tensorboard,
    }
    # Nothing half-written: readers see the whole file or none.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        count = writers[kind](store, runs, temporary)
        _move(temporary, path)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise disk_full(path.parent) from error
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            shutil.rmtree(temporary) if temporary.is_dir() else temporary.unlink(missing_ok=True)
    return count


def _move(source: Path, target: Path) -> None:
    """Put a file or folder in place; in a folder that is there, event files of the same runs are replaced."""
    if not (source.is_dir() and target.is_dir()):
        source.replace(target)
        return
    for folder in source.iterdir():
        (target / folder.name).mkdir(exist_ok=True)
        for old in (target / folder.name).glob("events.out.tfevents.*"):
            old.unlink()
        for file in folder.iterdir():
            file.replace(target / folder.name / file.name)


def _rows(store: Store, runs: Sequence[Run]) -> Iterator[_Row]:
    for run in runs:
        for name in store.metrics.names(run.id):
            series = store.metrics.history(run.id, name)
            for step, moment, value, attempt in zip(
                series.steps.tolist(),
                series.times.tolist(),
                series.values.tolist(),
                series.attempts.tolist(),
                strict=True,
            ):
                yield (run.name, run.experiment, name, step, moment, value, attempt)


def _write_csv(store: Store, runs: Sequence[Run], path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in _rows(store, runs):
            writer.writerow(row)
            count += 1
    return count


def _write_parquet(store: Store, runs: Sequence[Run], path: Path) -> int:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional: the extra 'parquet'
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("Parquet needs pyarrow: pip install 'modelyard[parquet]'") from error
    types = (pa.string(), pa.string(), pa.string(), pa.int64(), pa.float64(), pa.float64(), pa.int32())
    schema = pa.schema(list(zip(COLUMNS, types, strict=True)))
    count = 0
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for run in runs:
            rows = list(_rows(store, [run]))
            columns = list(zip(*rows, strict=True)) if rows else [()] * len(COLUMNS)
            writer.write_table(pa.table([list(column) for column in columns], schema=schema))
            count += len(rows)
    return count


def _write_tensorboard(store: Store, runs: Sequence[Run], path: Path) -> int:
    try:
        from tensorboard.compat.proto.event_pb2 import Event  # noqa: PLC0415 - optional: the extra 'tensorboard'
        from tensorboard.compat.proto.summary_pb2 import Summary  # noqa: PLC0415
        from tensorboard.summary.writer.record_writer import RecordWriter  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("event files need tensorboard: pip install 'modelyard[tensorboard]'") from error
    count = 0
    for number, run in enumerate(runs):
        folder = path / run.name
        folder.mkdir(parents=True)
        # Not TensorBoard's own event writer: its thread tells nobody of a full disk.
        with (folder / f"events.out.tfevents.{int(time.time()):010d}.modelyard.{number}").open("wb") as file:
            writer: Any = RecordWriter(file)
            writer.write(Event(wall_time=time.time(), file_version="brain.Event:2").SerializeToString())
            for _, _, metric, step, moment, value, _ in _rows(store, [run]):
                summary = Summary(value=[Summary.Value(tag=metric, simple_value=value)])
                writer.write(Event(wall_time=moment, step=step, summary=summary).SerializeToString())
                count += 1
    return count
