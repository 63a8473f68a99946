"""Images in a column of an Arrow table: encoded bytes, or paths to files beside it (Parquet, Hugging Face)."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from modelyard.domain.errors import ConfigError, DataError
from modelyard.domain.parts.data import HuggingFaceDataset, Parquet
from modelyard.domain.validation import nearest
from modelyard.tasks.image_classification.data.hashing import Hasher
from modelyard.tasks.image_classification.data.paths import inside
from modelyard.tasks.image_classification.data.source import Ints
from modelyard.tasks.preprocessing import Pixels, Preprocessing


class ArrowImages:
    """Rows of a ``pyarrow.ChunkedArray`` of binaries, paths, or structs ``{bytes, path}``.

    Paths are relative to ``root`` and never leave it (``DataError``). Bytes are decoded where they lie, without a copy.
    """

    def __init__(self, column: Any, *, root: Path, name: str) -> None:
        self._chunks: Sequence[Any] = [chunk for chunk in column.chunks if len(chunk)]
        self._starts = np.cumsum([0, *(len(chunk) for chunk in self._chunks)])
        self._root = root
        self._name = name

    def __len__(self) -> int:
        return int(self._starts[-1])

    def open(self, index: int) -> Image.Image:
        """Open the bytes or the file of one row."""
        content = self._content(index)
        return Image.open(content if isinstance(content, Path) else io.BytesIO(content))

    def name(self, index: int) -> str:
        """Return the file's name and the row, counted from 0."""
        return f"{self._name}#{index}"

    def hash_into(self, hasher: Hasher, indices: Ints) -> None:
        """Add the encoded bytes of the given rows, wherever they are kept."""
        hasher.add(self._name)
        for index in indices:
            content = self._content(int(index))
            try:
                hasher.add(content.read_bytes() if isinstance(content, Path) else content)
            except OSError as error:
                raise DataError(f"{self.name(int(index))}: cannot read {content} ({error.strerror})") from error

    def pixels(self, preprocessing: Preprocessing) -> Pixels | None:
        """Return None: images must be decoded."""
        return None

    def _content(self, index: int) -> Path | memoryview:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        scalar = self._chunks[number][index - int(self._starts[number])]
        if hasattr(scalar, "keys"):  # a struct
            fields = set(scalar.keys()) if scalar.is_valid else set()
            data, path = (scalar[key] if key in fields else None for key in ("bytes", "path"))
            scalar = data if data is not None and data.is_valid else path
        if scalar is None or not scalar.is_valid:
            raise DataError(f"{self.name(index)}: there is no image in this row; remove it")
        value = scalar.as_buffer()
        if _is_text(scalar):
            return self._file(index, str(scalar.as_py()))
        return memoryview(value)

    def _file(self, index: int, path: str) -> Path:
        try:
            return inside(self._root, self._root / path)
        except DataError as error:
            raise DataError(f"{self.name(index)}: {error}") from error


def check_columns(schema: Any, config: Parquet | HuggingFaceDataset, *, where: str) -> None:
    """Check that a table has both columns of the config and that the first can hold images.

    Raises ``DataError`` with the nearest name for a column that is missing, and for one of another type.
    """
    if config.image_column == config.label_column:
        raise ConfigError(f"data.label_column: {config.label_column!r} is the image column already")
    for field in ("image_column", "label_column"):
        name = getattr(config, field)
        if name not in schema.names:
            raise DataError(f"data.{field}: {where} has no column {name!r}{nearest(name, sorted(schema.names))}")
    text = str(schema.field(config.image_column).type)
    if text in {"binary", "large_binary", "string", "large_string", "binary_view", "string_view"}:
        return
    if text.startswith("struct<") and ("bytes:" in text or "path:" in text):
        return
    raise DataError(
        f"data.image_column: column {config.image_column!r} of {where} holds {text}; expected encoded images (binary), "
        "paths, or Hugging Face's {bytes, path}"
    )


def class_names(metadata: Any, column: str) -> list[str] | None:
    """Return the names of a ClassLabel column from the metadata that ``datasets`` writes into a schema, if any."""
    try:
        features = json.loads((metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
        names = features[column]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return [str(name) for name in names] if isinstance(names, list) else None


def _is_text(scalar: Any) -> bool:
    return "string" in str(scalar.type)
