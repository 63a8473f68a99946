"""Writes metric histories to files that other tools read: CSV, Parquet, TensorBoard's event files."""

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

from modelyard.domain.errors import MissingExtraError, UserError
from modelyard.domain.run import Run
from modelyard.store import Store

COLUMNS = ("run", "experiment", "metric", "step", "time", "value", "attempt")
"""Columns of the CSV and Parquet files; ``time`` is seconds since 1970 (UTC)."""

_Row = tuple[str, str, str, int, float, float, int]


class Format(StrEnum):
    """What ``export_metrics`` can write."""

    CSV = "csv"
    PARQUET = "parquet"
    TENSORBOARD = "tensorboard"


def export_metrics(store: Store, runs: Sequence[Run], path: Path, kind: Format, *, force: bool = False) -> int:
    """Write the history of every metric of ``runs`` and return the number of points.

    ``path`` is a file, or for TensorBoard a folder that gets one folder per run. Raises ``UserError`` if it exists and
    ``force`` is not set, ``MissingExtraError`` if a library is missing.
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
    if kind is Format.TENSORBOARD:
        return writers[kind](store, runs, path)
    # Nothing half-written: readers see the whole file or none.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        count = writers[kind](store, runs, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return count


def _rows(store: Store, runs: Sequence[Run]) -> Iterator[_Row]:
    for run in runs:
        for name in store.metrics.names(run.id):
            series = store.metrics.history(run.id, name)
            for step, time, value, attempt in zip(
                series.steps.tolist(),
                series.times.tolist(),
                series.values.tolist(),
                series.attempts.tolist(),
                strict=True,
            ):
                yield (run.name, run.experiment, name, step, time, value, attempt)


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
        from tensorboard.summary.writer.event_file_writer import EventFileWriter  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("event files need tensorboard: pip install 'modelyard[tensorboard]'") from error
    count = 0
    for run in runs:
        writer: Any = EventFileWriter(str(path / run.name))
        for _, _, metric, step, time, value, _ in _rows(store, [run]):
            summary = Summary(value=[Summary.Value(tag=metric, simple_value=value)])
            writer.add_event(Event(wall_time=time, step=step, summary=summary))
            count += 1
        writer.close()
    return count
