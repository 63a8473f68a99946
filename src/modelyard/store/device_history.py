"""What one device did: a file of fixed size in which new readings take the place of the oldest (decision 0018).

Every record stands for itself, with a number that grows and a checksum, so that whatever ends the writer, at most the
record that it was writing is lost. The last hour is kept as it was read; before that, records are means of a minute.
Times are those of the wall clock, which may jump: readings that it has put after newer ones do not count.
"""

import fcntl
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from modelyard.domain.device import FIGURES
from modelyard.domain.errors import ConflictError

READING_SECONDS = 5.0
FINE = 720
"""Readings that are kept as they are: an hour."""
TOGETHER = 12
"""Readings that become one coarse record: those of a minute."""
COARSE = 7 * 24 * 60
"""Coarse records: a week."""

_RECORD = np.dtype(
    [("number", "<u8"), ("time", "<f8"), ("uptime", "<f8"), ("figures", "<f8", (len(FIGURES),)), ("check", "<u4")]
)
_CHECKED = _RECORD.itemsize - 4
SIZE = (FINE + COARSE) * _RECORD.itemsize

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class History:
    """Readings in order of time; NaN where a figure could not be read."""

    times: Floats
    """Seconds since 1970."""
    figures: Mapping[str, Floats]
    uptime: float | None
    """Seconds from the machine's boot to the newest reading; None if there is none."""

    def between(self, start: float, end: float) -> "History":
        """Return the readings of a span of time, both ends included."""
        inside = (self.times >= start) & (self.times <= end)
        figures = {name: values[inside] for name, values in self.figures.items()}
        return History(times=self.times[inside], figures=figures, uptime=self.uptime)


class DeviceWriter:
    """Adds readings of one device to its file. A context manager; only one at a time writes to a file."""

    def __init__(self, path: Path) -> None:
        """Raises ``ConflictError`` where another process writes to the file, ``OSError``."""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._file, SIZE)
            newest = max((int(part["number"].max(initial=0)) for part in _parts(path)), default=0)
        except BlockingIOError as error:
            os.close(self._file)
            raise ConflictError(f"another process records to {path}") from error
        except OSError:
            os.close(self._file)
            raise
        self._number = (newest // TOGETHER + 1) * TOGETHER  # a minute of its own: means are of this process alone
        self._together: list[Any] = []

    def add(self, figures: Mapping[str, float], *, time: float, uptime: float) -> None:
        """Write a reading of now. Raises ``OSError``."""
        if self._number % TOGETHER == 0:
            self._together = []
        values = [figures.get(name, np.nan) for name in FIGURES]
        self._together.append(values)
        self._put(self._number % FINE, time, uptime, values)
        self._put(FINE + self._number // TOGETHER % COARSE, time, uptime, _mean(self._together))
        self._number += 1

    def close(self) -> None:
        """Let others write."""
        os.close(self._file)

    def _put(self, place: int, time: float, uptime: float, values: Any) -> None:
        record = np.zeros(1, _RECORD)
        record["number"], record["time"], record["uptime"], record["figures"] = self._number, time, uptime, values
        data = record.tobytes()[:_CHECKED]
        os.pwrite(self._file, data + zlib.crc32(data).to_bytes(4, "little"), place * _RECORD.itemsize)


def read_history(path: Path) -> History:
    """Return all that a file has. A file that is not there, or damaged, has less."""
    fine, coarse = _parts(path)
    newest = max(int(fine["number"].max(initial=0)), int(coarse["number"].max(initial=0)))
    fine = fine[fine["number"] + FINE > newest]
    oldest = int(fine["number"].min(initial=newest))
    coarse = coarse[(coarse["number"] < oldest) & (coarse["number"] + TOGETHER * COARSE > newest)]
    records = np.concatenate([coarse, fine])
    records = records[np.argsort(records["number"], kind="stable")]
    records = records[_before_all_later(records["time"])]
    return History(
        times=records["time"],
        figures={name: records["figures"][:, index] for index, name in enumerate(FIGURES)},
        uptime=float(records["uptime"][-1]) if len(records) else None,
    )


def _parts(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the sound records of the last hour, and those of minutes, in no order."""
    data = b""
    with suppress(FileNotFoundError):
        data = path.read_bytes()[:SIZE]
    records = np.frombuffer(data[: len(data) // _RECORD.itemsize * _RECORD.itemsize], _RECORD)
    return _sound(records[:FINE]), _sound(records[FINE:])


def _sound(records: npt.NDArray[Any]) -> npt.NDArray[Any]:
    written = records[records["number"] > 0]
    checked = [zlib.crc32(one.tobytes()[:_CHECKED]) == one["check"] for one in written]
    found: npt.NDArray[Any] = written[np.array(checked, bool)]
    return found


def _before_all_later(times: Floats) -> npt.NDArray[np.bool_]:
    """Return which times are before all that come after them in the list: the others are of a clock that jumped."""
    later = np.minimum.accumulate(times[::-1])[::-1]
    found: npt.NDArray[np.bool_] = times < np.append(later[1:], np.inf)
    return found


def _mean(readings: list[Any]) -> Floats:
    """Return the mean of each figure over the readings that have it."""
    found = np.array(readings)
    known = ~np.isnan(found)
    count = known.sum(axis=0)
    total = np.where(known, found, 0.0).sum(axis=0)
    mean: Floats = np.divide(total, count, out=np.full(len(FIGURES), np.nan), where=count > 0)
    return mean
