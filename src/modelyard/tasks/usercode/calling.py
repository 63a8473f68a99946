"""Calls of user code: checked before, and explained when they fail."""

import inspect
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.usercode import UserCode

RAISED = (Exception, SystemExit, KeyboardInterrupt)
"""What user code may raise: ``sys.exit`` in it is a mistake of one run, and must not end the process of others."""


@dataclass(frozen=True, kw_only=True)
class Signature:
    """A method that a user's class has or may have."""

    name: str
    arguments: tuple[str, ...]
    """Without ``self``."""
    returns: str
    """What it must return, in words."""
    required: bool = False

    def __str__(self) -> str:
        return f"{self.name}({', '.join(('self', *self.arguments))}) -> {self.returns}"


def check_signatures(config: UserCode, entry: type[Any], signatures: Sequence[Signature]) -> None:
    """Raise ``ConfigError``, one line per problem, for a missing method or one that takes other arguments."""
    if not inspect.isclass(entry):
        raise ConfigError(f"{config.file}: {config.entry} is not a class")
    problems = [problem for one in signatures if (problem := _problem(config, entry, one)) is not None]
    if problems:
        raise ConfigError("\n".join(problems))


def _problem(config: UserCode, entry: type[Any], signature: Signature) -> str | None:
    method = inspect.getattr_static(entry, signature.name, None)
    if method is None:
        if not signature.required:
            return None
        return f"{_at(config, entry)}: {config.entry} has no method {signature.name!r}; add {signature}"
    bound = isinstance(method, staticmethod | classmethod)
    try:
        arguments = signature.arguments if bound else ("self", *signature.arguments)
        inspect.signature(getattr(entry, signature.name)).bind(*arguments)
    except TypeError as error:
        function = inspect.unwrap(getattr(method, "__func__", method))
        return f"{_at(config, function)}: {config.entry}.{signature.name}: {error}; it is called as {signature}"
    return None


def instantiate(config: UserCode, entry: Callable[..., Any]) -> Any:
    """Call the class or function with the params. Raises ``ConfigError`` for params that it does not take."""
    try:
        inspect.signature(entry).bind(**config.params)
    except TypeError as error:
        taken = inspect.signature(entry)
        raise ConfigError(
            f"{config.file}: params: {error}; {config.entry} takes {taken}, and params are {_shown(config.params)}"
        ) from error
    with noted(config, config.entry):
        return entry(**config.params)


@contextmanager
def noted(config: UserCode, what: object) -> Iterator[None]:
    """Add to an exception where in the user's file it came from, and what was called there."""
    try:
        yield
    except RAISED as error:
        error.add_note(f"{where_it_failed(error, config.file)}, in {what}")
        raise


def explained(error: BaseException, config: UserCode) -> str:
    """Return one line on an exception that ``noted`` passed on."""
    notes = getattr(error, "__notes__", None) or [config.file]
    message = " ".join(str(error).split())
    return f"{notes[0]}: {type(error).__name__}{': ' if message else ''}{message}"


def where_it_failed(error: BaseException, file: str) -> str:
    """Return ``my_task.py:14``: the innermost line of the file that an exception passed through."""
    if isinstance(error, SyntaxError) and error.filename == file and error.lineno is not None:
        return f"{Path(file).name}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f"{Path(file).name}:{lines[-1]}" if lines else Path(file).name


def _at(config: UserCode, thing: Any) -> str:
    """Return the file and the line where a class or function begins."""
    try:
        line = inspect.getsourcelines(thing)[1]
    except (OSError, TypeError):
        return config.file
    return f"{config.file}:{line}"


def _shown(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in params.items()) or "none"
