"""Changes values in the text of a YAML file: what is not changed stays as it was written, comments and all."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from textwrap import indent
from typing import Any

import yaml

from modelyard.api.yamlfile import compose, read_yaml, value_of
from modelyard.api.yamlprint import block, document, flow
from modelyard.domain.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One value to set, or to take away; mappings that are left empty go with it."""

    path: tuple[str, ...]
    value: Any = None
    remove: bool = False


@dataclass(frozen=True, kw_only=True)
class Edited:
    """A file after its edits."""

    text: str
    lost: tuple[str, ...]
    """Comments that went with what they stood at."""


def edit_yaml(text: str, edits: Sequence[Edit], source: str) -> Edited:
    """Apply edits, in order, to the text of a file that holds a mapping.

    Where that cannot be done in place (anchors, merges, odd layouts) the file is written anew. Raises ``ConfigError``
    for a text that is not such a file.
    """
    before = read_yaml(text, source).value
    if not isinstance(before, dict):
        raise ConfigError(f"{source}:1: a sweep file holds keys such as 'name', 'run' and 'search'")
    wanted = deepcopy(before)
    for edit in edits:
        _apply(wanted, edit)
    if _same(before, wanted):
        return Edited(text=text, lost=())
    changed = _in_place(text, wanted)
    if changed is None or not _reads_as(changed, wanted, source):
        changed = document(wanted)
    kept = list(_comments(changed))
    return Edited(text=changed, lost=tuple(comment for comment in _comments(text) if comment not in kept))


def _apply(values: dict[str, Any], edit: Edit) -> None:
    first, *rest = edit.path
    if rest:
        inner = values.get(first)
        if not isinstance(inner, dict):
            if edit.remove:
                return
            inner = values[first] = {}
        _apply(inner, Edit(path=tuple(rest), value=edit.value, remove=edit.remove))
        if edit.remove and not inner:
            del values[first]
    elif edit.remove:
        values.pop(first, None)
    else:
        values[first] = edit.value


def _same(one: Any, other: Any) -> bool:
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)  # true is not 1


def _reads_as(text: str, wanted: Mapping[str, Any], source: str) -> bool:
    try:
        return _same(read_yaml(text, source).value, wanted)
    except ConfigError:
        return False


def _comments(text: str) -> Iterator[str]:
    """Yield what looks like a comment; a ``#`` inside quotes counts as well, which does no harm."""
    yield from (found[1].strip() for found in re.finditer(r"(?:^|\s)(#.*)$", text, re.MULTILINE))


@dataclass(frozen=True)
class _Splice:
    """Text to put in the place of some other."""

    start: int
    end: int
    text: str


def _in_place(text: str, wanted: Mapping[str, Any]) -> str | None:
    """Return the text with its values replaced by those wanted; None where its layout is not one that is known."""
    root = compose(text)
    if not isinstance(root, yaml.MappingNode) or root.flow_style or not wanted:
        return None
    splices = list(_Writer(text).mapping(root, wanted))[::-1]
    # From the end to the start, and what is outside first: it comes behind what is inserted further inside.
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end), reverse=True):
        text = text[: splice.start] + splice.text + text[splice.end :]
    return text


class _Writer:
    """Finds what to replace in a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def mapping(self, node: yaml.MappingNode, wanted: Mapping[str, Any]) -> Iterator[_Splice]:
        """Yield what makes a block mapping hold what is wanted."""
        known = {key.value: (key, value) for key, value in node.value}
        for name, (key, value) in known.items():
            if name not in wanted:
                yield self._without(key, value)
            elif not _same(value_of(value), wanted[name]):
                yield from self._changed(key, value, wanted[name])
        added = [name for name in wanted if name not in known]
        if added:
            yield self._added(node, {name: wanted[name] for name in added})

    def _changed(self, key: yaml.Node, value: yaml.Node, wanted: Any) -> Iterator[_Splice]:
        if isinstance(value, yaml.MappingNode) and not value.flow_style and isinstance(wanted, Mapping) and wanted:
            yield from self.mapping(value, wanted)
            return
        start, end = value.start_mark.index, self._end(value)
        if value.start_mark.line == key.end_mark.line and not self._text[start:end].count("\n"):
            inside = flow(wanted) if start < end else block(wanted, key.start_mark.column + 2)
            yield _Splice(start, end, inside)
        else:  # the value stands below its key
            colon = self._text.index(":", key.end_mark.index) + 1
            yield _Splice(colon, end, block(wanted, key.start_mark.column + 2))

    def _without(self, key: yaml.Node, value: yaml.Node) -> _Splice:
        start = self._text.rfind("\n", 0, key.start_mark.index) + 1
        return _Splice(start, self._line_end(max(self._end(value), key.end_mark.index)), "")

    def _added(self, node: yaml.MappingNode, wanted: Mapping[str, Any]) -> _Splice:
        key, value = node.value[-1]
        at = self._line_end(max(self._end(value), key.end_mark.index))
        lines = indent(document(wanted), " " * node.start_mark.column)
        return _Splice(at, at, lines if self._text[:at].endswith("\n") else f"\n{lines}")

    def _end(self, node: yaml.Node) -> int:
        """Return where a value ends; PyYAML counts the comments and empty lines after a block to it."""
        if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
            end = int(node.end_mark.index)
            start = int(node.start_mark.index)
            return start + len(self._text[start:end].rstrip())
        last = node.value[-1]
        return max(self._end(part) for part in (last if isinstance(last, tuple) else [last]))

    def _line_end(self, position: int) -> int:
        end = self._text.find("\n", position)
        return len(self._text) if end < 0 else end + 1
