"""Records what this machine's devices do, in a thread beside the supervisor."""

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from modelyard.agent.device_readings import Source, sources
from modelyard.agent.devices import DeviceInfo, accelerators
from modelyard.domain.device import Device, Reading
from modelyard.domain.errors import ConflictError, ModelyardError
from modelyard.store import Store
from modelyard.store.circumstances import processor
from modelyard.store.device_history import READING_SECONDS

LONGEST_READING_SECONDS = 10.0


class DeviceRecorder:
    """A context manager: while it is open, a reading of each device is kept every few seconds.

    Whatever cannot be read or written is tried again at the next reading; training never waits for it.
    """

    def __init__(self, store: Store, *, seconds: float = READING_SECONDS, say: Callable[[str], None]) -> None:
        self._store = store
        self._seconds = seconds
        self._say = say
        self._said = ""
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._record, name="device-recorder", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(LONGEST_READING_SECONDS)  # a driver that hangs must not keep the agent

    def _record(self) -> None:
        found, trouble = _look()
        devices = [
            Device(name="cpu", platform="cpu", model=processor(), unavailable={}),
            *(Device(name=one.name, platform=one.platform, model=one.model, unavailable={}) for one in found),
        ]
        readers = sources(found)
        while not self._done.is_set():
            try:
                with self._store.devices.record() as record:
                    while not self._done.wait(self._seconds):
                        record.add(devices, _read(readers), trouble=trouble)
                        self._said = ""
            except (OSError, ConflictError) as error:
                self._tell(f"devices are not recorded: {error}")
                self._done.wait(self._seconds)

    def _tell(self, message: str) -> None:
        if message != self._said:
            self._said = message
            self._say(message)


def _look() -> tuple[Sequence[DeviceInfo], str]:
    """Return the accelerators, and why they could not be looked for."""
    try:
        return accelerators(), ""
    except ModelyardError as error:
        return (), str(error)


def _read(readers: Sequence[Source]) -> dict[str, Reading]:
    found: dict[str, Reading] = {}
    for read in readers:
        found |= read()
    return found
