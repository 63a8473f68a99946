"""Reads YAML into plain values, and remembers the line of every key.

Scalars follow the core schema of YAML 1.2: ``no`` is a word and ``1e-3`` is a number. Tags are refused.
"""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

import yaml

from modelyard.api.document import Document
from modelyard.domain.errors import ConfigError
from modelyard.domain.validation import Path

MAX_NODES = 200_000
"""Values in one file, aliases expanded; more is a mistake or an attack."""

_CORE_SCHEMA = (
    ("tag:yaml.org,2002:null", r"~|null|Null|NULL|", "~nN\0"),
    ("tag:yaml.org,2002:bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "tag:yaml.org,2002:float",
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("tag:yaml.org,2002:merge", r"<<", "<"),
)


class _CoreLoader(yaml.SafeLoader):
    """PyYAML's safe loader with the scalars of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}


for _tag, _pattern, _first in _CORE_SCHEMA:
    # PyYAML looks resolvers up by a scalar's first character; the empty scalar has none.
    _CoreLoader.add_implicit_resolver(
        _tag, re.compile(rf"^(?:{_pattern})$"), [character.replace("\0", "") for character in _first]
    )


def read_yaml(text: str, source: str) -> Document:
    """Parse YAML. Raises ``ConfigError`` with file and line: syntax, duplicate keys, tags, endless aliases."""
    try:
        root = compose(text)
        if root is None:
            raise ConfigError(f"{source}: the file is empty")
        reader = _Reader(source)
        return Document(reader.read(root, ()), reader.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(f"{source}:{line}: not valid YAML: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: not valid YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ConfigError(f"{source}: nested too deeply") from error


def read_value(text: str, source: str) -> Any:
    """Parse one value as it would be read from a file: ``0.1``, ``true``, ``[64, 64]``, ``adamw``."""
    return read_yaml(text, source).value if text.strip() else None


def compose(text: str) -> yaml.Node | None:
    """Return the root of a text, with the places of all values in it. Raises ``yaml.YAMLError``."""
    loader = _CoreLoader(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def value_of(node: yaml.Node) -> Any:
    """Return what a node of a readable text holds."""
    return _Reader("").read(node, ())


class _Reader:
    """Turns nodes into values."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.lines: dict[Path, int] = {}
        self._count = 0
        self._open: set[int] = set()

    def read(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        if self._count > MAX_NODES:
            self._fail(node, f"more than {MAX_NODES:,} values once aliases are expanded")
        if id(node) in self._open:
            self._fail(node, "an alias that contains itself")
        self._open.add(id(node))
        try:
            return self._value(node, path)
        finally:
            self._open.remove(id(node))

    def _value(self, node: yaml.Node, path: Path) -> Any:
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != "tag:yaml.org,2002:seq":
                self._fail(node, f"the tag {node.tag} is not supported")
            for index, item in enumerate(node.value):
                self.lines[(*path, index)] = _line(item)
            return [self.read(item, (*path, index)) for index, item in enumerate(node.value)]
        assert isinstance(node, yaml.MappingNode)
        if node.tag != "tag:yaml.org,2002:map":
            self._fail(node, f"the tag {node.tag} is not supported")
        return self._mapping(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        values: dict[str, Any] = {}
        own: dict[str, int] = {}
        for key_node, value_node in self._pairs(node):
            key = self._key(key_node)
            if key in own:
                self._fail(key_node, f"the key {key!r} is given twice; the first is in line {own[key]}")
            own[key] = _line(key_node)
            self.lines[(*path, key)] = own[key]
            values[key] = self.read(value_node, (*path, key))
        for merged in self._merged(node, path):
            for key, value in merged.items():
                values.setdefault(key, value)
        return values

    def _pairs(self, node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        return ((key, value) for key, value in node.value if key.tag != "tag:yaml.org,2002:merge")

    def _merged(self, node: yaml.MappingNode, path: Path) -> Iterator[dict[str, Any]]:
        """Yield the mappings that ``<<`` names; the lines of their keys stay where the keys are."""
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                continue
            for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(source, yaml.MappingNode):
                    self._fail(value, "'<<' merges mappings only")
                known = dict(self.lines)
                yield self.read(source, path)
                self.lines.update(known)

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, "a key must be a word")
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.removeprefix("tag:yaml.org,2002:")
        text = node.value
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind == "int":
            return int(text) if len(text) < 100 else float(text)
        if kind == "float":
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if kind != "str":
            self._fail(node, f"the tag {node.tag} is not supported")
        return text

    def _fail(self, node: yaml.Node, message: str) -> NoReturn:
        raise ConfigError(f"{self.source}:{_line(node)}: {message}")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
