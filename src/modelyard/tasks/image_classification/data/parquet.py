"""Parquet files with encoded images and labels, in the layout of the Hugging Face hub or any other."""

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from modelyard.domain.errors import DataError, MissingExtraError
from modelyard.domain.parts.data import Parquet
from modelyard.tasks.image_classification.data.arrow import ArrowImages, check_columns, class_names
from modelyard.tasks.image_classification.data.labels import Labels, index_labels
from modelyard.tasks.image_classification.data.paths import inside, resolve_data_path
from modelyard.tasks.image_classification.data.source import Samples, Source, SplitKey

_HELD_IN_MEMORY = 512 * 2**20
_ROWS = 1024
_PREFIXES: tuple[tuple[str, SplitKey], ...] = (("train", "train"), ("val", "val"), ("dev", "val"), ("test", "test"))


def read_parquet(config: Parquet, folder: Path | None) -> Source:
    """Read labels and encoded images; nothing is decoded.

    Raises ``DataError`` for missing files or columns, damaged files, and image paths that leave the folder.
    """
    path = resolve_data_path(config.path, folder)
    root = path if path.is_dir() else path.parent
    files: dict[SplitKey, list[Path]] = _find(root) if path.is_dir() else {"train": [path]}
    tables = {key: _read(shards, config, root) for key, shards in files.items()}
    columns = {
        key: Labels(f"{key} {config.label_column!r}", table.column(config.label_column).to_pylist())
        for key, table in tables.items()
    }
    names = class_names(tables["train"].schema.metadata, config.label_column)
    labels = index_labels(columns, names=names)
    splits = {
        key: Samples(
            images=ArrowImages(table.column(config.image_column), root=root, name=key),
            indices=np.arange(table.num_rows),
            labels=labels.of[key],
        )
        for key, table in tables.items()
    }
    return Source(classes=labels.classes, splits=splits, problems=labels.problems)


def _find(root: Path) -> dict[SplitKey, list[Path]]:
    """Return the shards of each split, sorted by name."""
    files = [path for path in sorted(root.iterdir()) if path.suffix.lower() == ".parquet" and path.name[0] != "."]
    found: dict[SplitKey, list[Path]] = {}
    for prefix, key in _PREFIXES:
        shards = [inside(root, path) for path in files if path.name.lower().startswith(prefix)]
        if shards:
            found.setdefault(key, []).extend(shards)
    if "train" not in found:
        names = ", ".join(path.name for path in files[:5]) or "no parquet files at all"
        raise DataError(f"{root} has no train*.parquet (it has {names}); rename the files, or set path to one file")
    return found


def _read(shards: Sequence[Path], config: Parquet, root: Path) -> Any:
    """Return a ``pyarrow.Table`` of the two columns; a large one lies in a temporary file, mapped into memory."""
    try:
        # Optional, and slow to import.
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("Parquet files need pyarrow: pip install 'modelyard[train]'") from error
    names = [config.image_column, config.label_column]
    name = ""
    try:
        files = []
        for shard in shards:
            name = shard.relative_to(root).as_posix()
            files.append(pq.ParquetFile(shard))
            check_columns(files[-1].schema_arrow, config, where=name)
        schema = files[0].schema_arrow
        schema = pa.schema([schema.field(column) for column in names], metadata=schema.metadata)
        batches = (batch.select(names) for file in files for batch in file.iter_batches(_ROWS, columns=names))
        if sum(shard.stat().st_size for shard in shards) <= _HELD_IN_MEMORY:
            return pa.Table.from_batches(batches, schema)
        return _mapped(pa, batches, schema)
    except (pa.ArrowException, OSError) as error:
        which = name if len(shards) == 1 else f"{name} or a shard before it"
        raise DataError(f"{which}: cannot read the file ({error}); write it again") from error


def _mapped(pa: Any, batches: Iterable[Any], schema: Any) -> Any:
    """Write the batches, uncompressed, to a file without a name that lives as long as the table."""
    with tempfile.NamedTemporaryFile(prefix="modelyard-", suffix=".arrow") as file:
        with pa.ipc.new_file(file, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
        file.flush()
        return pa.ipc.open_file(pa.memory_map(file.name)).read_all()
