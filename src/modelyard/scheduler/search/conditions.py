"""When a dimension applies, and in which order dimensions are settled so that each condition can be decided."""

from collections.abc import Mapping

from modelyard.domain.errors import ConfigError
from modelyard.domain.introspection import kinds
from modelyard.domain.search import Dimension, Json
from modelyard.domain.validation import nearest
from modelyard.scheduler.search.edit import Data, read
from modelyard.scheduler.search.paths import locate, part_of_tag, tag_field

Space = Mapping[str, Dimension]


def holds(when: Mapping[str, Json], data: Data) -> bool:
    """Whether each field has the value, or one of the list of values, that ``when`` gives for it."""
    return all(_matches(read(data, _kind_field(path)), expected) for path, expected in when.items())


def settle_order(space: Space) -> list[str]:
    """Return the dimensions' paths in the order of the space, but each one after those that decide about it.

    Raises ``ConfigError`` if dimensions wait for each other, or for a field or a kind of part that does not exist.
    """
    for path, dimension in space.items():
        _check_field(path, prefix="search.space.")
        for field, expected in dimension.when.items():
            _check_condition(path, field, expected)
    waiting = {path: {other for other in space if other != path and _decides(other, path, space)} for path in space}
    for path, dimension in space.items():
        if any(_kind_field(field) == path for field in dimension.when):
            raise ConfigError(f"search.space.{path}: its `when` asks for its own value")
    order: list[str] = []
    while waiting:
        ready = next((path for path in space if path in waiting and waiting[path] <= set(order)), None)
        if ready is None:
            raise ConfigError(f"search.space: {', '.join(waiting)} wait for each other; remove one of their `when`")
        order.append(ready)
        del waiting[ready]
    return order


def _matches(actual: Json, expected: Json) -> bool:
    if type(actual) is bool or type(expected) is bool:  # True == 1 in Python, but not in a config
        return actual is expected
    return bool(actual == expected) or (
        isinstance(expected, list | tuple) and any(_matches(actual, item) for item in expected)
    )


def _kind_field(path: str) -> str:
    """Return ``optimizer.name`` for ``optimizer``: a condition on a whole part is about its kind."""
    tag = tag_field(locate(path).parts)
    return path if tag is None else f"{path}.{tag}"


def _check_field(path: str, *, prefix: str) -> None:
    try:
        locate(path)
    except ConfigError as error:
        raise ConfigError(f"{prefix}{error}") from error


def _check_condition(path: str, field: str, expected: Json) -> None:
    prefix = f"search.space.{path}.when."
    _check_field(field, prefix=prefix)
    kind_field = _kind_field(field)
    if part_of_tag(kind_field) is None:
        return
    known = sorted(kinds(locate(kind_field).owners))
    for value in expected if isinstance(expected, list | tuple) else (expected,):
        if value not in known:
            raise ConfigError(f"{prefix}{field}: {kind_field} is never {value!r}{nearest(str(value), known)}")


def _decides(other: str, path: str, space: Space) -> bool:
    """Whether the dimension ``other`` must be settled before ``path``: it sets its part, or a field of its ``when``."""
    return any(_reaches(other, field) for field in (path, *map(_kind_field, space[path].when)))


def _reaches(path: str, field: str) -> bool:
    """Whether a change of ``path`` may change ``field``: itself, the part it is in, or the kind of that part."""
    part = part_of_tag(path) or path
    return field == path or field.startswith(f"{part}.")
