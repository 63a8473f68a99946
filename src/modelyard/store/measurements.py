"""Measurements of speed that this machine keeps for the next plan and the next training.

A file for each way of training in each situation, replaced as a whole: processes that write at the same time lose
nothing of each other. It is a cache: what cannot be read, or was measured under other circumstances, does not count.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

from pydantic import ValidationError

from modelyard.domain.base import Config, canonical_json
from modelyard.domain.measurement import Facts, Measurement, Situation, Way
from modelyard.store import clock
from modelyard.store.circumstances import Circumstances
from modelyard.store.home import Home, translated_os_errors

_COMPILED = "compiled"
OLDEST = timedelta(days=30)
"""Older measurements do not count: machines change in ways that no version tells."""


class _Entry(Config):
    """The content of one file."""

    workload: str
    device: str
    machine: str
    torch: str
    code: str
    measurement: Measurement | None = None
    facts: Facts | None = None


@dataclass
class Remembered:
    """What is known about one situation."""

    ways: dict[Way, Measurement] = field(default_factory=dict)
    facts: Facts | None = None
    notes: list[str] = field(default_factory=list)
    """Why something that was found does not count."""


class Measurements:
    """The measurements in one home. The home is created when the first is kept."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def recall(self, situation: Situation, now: Circumstances) -> Remembered:
        """Return what is known about a situation, and why the rest does not count. Never raises for a bad file."""
        found = Remembered()
        for path in sorted(self._home.measurements.glob(f"{_name(situation, now)}-*.json")):
            problem = self._read(path, situation, now, found)
            if problem:
                found.notes.append(f"{path.name} does not count: {problem}")
        return found

    def any_compiled(self) -> bool:
        """Whether anything was measured of compiled code at all; quicker than to recall it."""
        return any(self._home.measurements.glob(f"*-{_COMPILED}.json"))

    def _read(self, path: Path, situation: Situation, now: Circumstances, found: Remembered) -> str:
        """Add a file's content to ``found``; return why it does not count, or nothing."""
        try:
            entry = _Entry.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return "it is damaged"
        content = entry.measurement or entry.facts
        if content is None or (entry.workload, entry.device) != (situation.workload, situation.device):
            return "it is damaged"
        other = now.differing(Circumstances(machine=entry.machine, torch=entry.torch, code=entry.code))
        if other:
            return f"it was measured with another {' and '.join(other)}"
        if not timedelta(0) <= clock.now() - content.measured_at <= OLDEST:
            return f"it was measured on {content.measured_at:%Y-%m-%d}"
        if entry.measurement is not None:
            found.ways[entry.measurement.way] = entry.measurement
        else:
            found.facts = entry.facts
        return ""

    def keep(self, situation: Situation, now: Circumstances, *news: Measurement | Facts) -> None:
        """Keep measurements in the place of older ones of the same. Creates the home if there is none.

        Raises ``StoreError``, ``StorageFullError``.
        """
        for content in news:
            kind: Mapping[str, Measurement | Facts]
            if isinstance(content, Measurement):
                compiled = f"-{_COMPILED}" * content.compiled
                name, kind = f"{content.members}x{content.processes}{compiled}", {"measurement": content}
            else:
                name, kind = "facts", {"facts": content}
            entry = _Entry(**asdict(situation), **asdict(now), **kind)
            self._write(f"{_name(situation, now)}-{name}.json", entry.model_dump_json(exclude_none=True))

    def _write(self, name: str, text: str) -> None:
        folder = self._home.measurements
        self._home.prepare()
        with translated_os_errors(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            temporary = folder / f".{name}.{os.getpid()}.{secrets.token_hex(4)}.tmp"
            try:
                temporary.write_text(text, encoding="utf-8")
                temporary.replace(folder / name)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise


def _name(situation: Situation, now: Circumstances) -> str:
    """Return the start of the file names; torch and our code are not in it, so that newer files replace older ones."""
    return hashlib.sha256(canonical_json([asdict(situation), now.machine]).encode()).hexdigest()[:24]
