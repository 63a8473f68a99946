"""Sends what is printed, warned and logged while a run trains to that run's log."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class _LineWriter:
    """A text stream that hands over whole lines and passes everything on."""

    def __init__(self, original: TextIO, say: Callable[[str], None]) -> None:
        self._original = original
        self._say = say
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, rest = (self._rest + text).split("\n")
        self._rest = rest.rsplit("\r", 1)[-1]  # a progress bar writes over its line again and again
        for line in lines:
            self._say(line.rsplit("\r", 1)[-1])
        return self._original.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _LogHandler(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            self._say(line)


@contextmanager
def captured_output(say: Callable[[str], None]) -> Iterator[None]:
    """Hand every line of stdout, stderr, ``logging`` (from warnings on) and ``warnings`` to ``say`` too."""
    handler = _LogHandler(say)
    handler.setLevel(logging.WARNING)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    stdout, stderr, showwarning = sys.stdout, sys.stderr, warnings.showwarning
    sys.stdout, sys.stderr = _LineWriter(stdout, say), _LineWriter(stderr, say)
    warnings.showwarning = lambda message, category, *rest, **more: say(f"{category.__name__}: {message}")
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        sys.stdout, sys.stderr, warnings.showwarning = stdout, stderr, showwarning
