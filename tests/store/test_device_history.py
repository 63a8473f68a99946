"""The file of a device's readings: bounded, in order, and sound whatever happens to its writer or the clock."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelyard.domain.device import Device, Reading, all_unavailable
from modelyard.domain.errors import ConflictError
from modelyard.store import Store, clock, open_store
from modelyard.store import device_history as ring
from modelyard.store.device_history import DeviceWriter, read_history

START = 1_700_000_000.0
CPU = Device(name="cpu", platform="cpu", model="a processor", unavailable={})

WRITE_FOR_EVER = """
import sys
from modelyard.store.device_history import DeviceWriter
from pathlib import Path
writer = DeviceWriter(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    writer.add({"utilisation": number}, time=1e9 + number, uptime=number)
    if number == 2000:
        print("writing", flush=True)
"""


def write(path: Path, times: list[float], *, utilisation: float = 0.5) -> None:
    writer = DeviceWriter(path)
    for number, moment in enumerate(times):
        writer.add({"utilisation": utilisation}, time=moment, uptime=float(number))
    writer.close()


def test_a_file_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    history = read_history(tmp_path / "none")
    assert (len(history.times), history.uptime) == (0, None)
    assert all(len(values) == 0 for values in history.figures.values())


def test_what_was_written_is_read_and_what_was_not_is_missing(tmp_path: Path) -> None:
    writer = DeviceWriter(tmp_path / "ring")
    writer.add({"utilisation": 0.25, "memory_used": 7e9}, time=START, uptime=12.5)
    history = read_history(tmp_path / "ring")
    writer.close()
    assert history.times.tolist() == [START]
    assert history.figures["memory_used"].tolist() == [7e9]
    assert math.isnan(history.figures["power"][0])
    assert history.uptime == 12.5


def test_a_month_takes_no_more_room_than_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an hour of 24 readings, 12 of which are a minute, and a week of 10 minutes."""
    monkeypatch.setattr(ring, "FINE", 24)
    monkeypatch.setattr(ring, "COARSE", 10)
    monkeypatch.setattr(ring, "SIZE", 34 * ring._RECORD.itemsize)
    writer = DeviceWriter(tmp_path / "ring")
    for number in range(1, 1001):
        writer.add({"utilisation": float(number)}, time=START + number, uptime=float(number))
    writer.close()
    history = read_history(tmp_path / "ring")
    assert (tmp_path / "ring").stat().st_size == 34 * ring._RECORD.itemsize
    assert history.figures["utilisation"][-24:].tolist() == [float(one) for one in range(977, 1001)]
    older = history.figures["utilisation"][:-24]
    assert 7 <= len(older) <= 10
    assert (older[1:] - older[:-1]).tolist() == [12.0] * (len(older) - 1), "each is the mean of a minute"


def test_a_mean_is_of_the_readings_that_have_the_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ring, "FINE", 12)
    monkeypatch.setattr(ring, "SIZE", (12 + ring.COARSE) * ring._RECORD.itemsize)
    writer = DeviceWriter(tmp_path / "ring")
    for number in range(24):
        writer.add({"utilisation": 0.5} if number in {3, 4} else {}, time=START + number, uptime=0.0)
    writer.close()
    history = read_history(tmp_path / "ring")
    assert history.figures["utilisation"][0] == 0.5
    assert math.isnan(history.figures["power"][0])


def test_a_writer_goes_on_where_another_ended(tmp_path: Path) -> None:
    write(tmp_path / "ring", [START, START + 5])
    write(tmp_path / "ring", [START + 60, START + 65])
    assert read_history(tmp_path / "ring").times.tolist() == [START, START + 5, START + 60, START + 65]


def test_only_one_writes_at_a_time(tmp_path: Path) -> None:
    first = DeviceWriter(tmp_path / "ring")
    with pytest.raises(ConflictError, match="another process records"):
        DeviceWriter(tmp_path / "ring")
    first.close()
    DeviceWriter(tmp_path / "ring").close()


def test_a_clock_that_jumps_back_takes_its_future_along(tmp_path: Path) -> None:
    year = 365 * 86400.0
    write(tmp_path / "ring", [START, START + 5, START + year, START + year + 5, START + 10, START + 15])
    assert read_history(tmp_path / "ring").times.tolist() == [START, START + 5, START + 10, START + 15]


@given(st.lists(st.floats(-1e9, 1e10), max_size=60))
def test_times_always_grow_and_the_newest_is_the_last_that_was_written(
    tmp_path_factory: pytest.TempPathFactory, times: list[float]
) -> None:
    path = tmp_path_factory.mktemp("ring") / "ring"
    write(path, times)
    found = read_history(path).times.tolist()
    assert found == sorted(set(found))
    assert found[-1:] == times[-1:]


@given(st.binary(min_size=1, max_size=400), st.integers(0, 3000))
def test_damage_costs_records_and_no_more(tmp_path_factory: pytest.TempPathFactory, junk: bytes, place: int) -> None:
    path = tmp_path_factory.mktemp("ring") / "ring"
    write(path, [START + number for number in range(30)])
    with path.open("r+b") as file:
        file.seek(place)
        file.write(junk)
    history = read_history(path)
    assert set(history.times.tolist()) <= {START + number for number in range(30)}
    assert set(history.figures["utilisation"].tolist()) <= {0.5}
    write(path, [START + 100])
    assert read_history(path).times[-1] == START + 100


def test_a_file_that_was_cut_short_is_read(tmp_path: Path) -> None:
    write(tmp_path / "ring", [START + number for number in range(30)])
    os.truncate(tmp_path / "ring", 1000)
    assert len(read_history(tmp_path / "ring").times) > 0


def test_a_writer_that_is_killed_leaves_sound_records(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path / "ring")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()
    history = read_history(tmp_path / "ring")
    newest = history.figures["utilisation"][-700:]
    assert (newest[1:] - newest[:-1] == 1.0).all(), "not one of the last hour is missing"
    DeviceWriter(tmp_path / "ring").close()


def test_a_machine_and_its_devices_are_kept_with_reasons(sqlite_store: Store) -> None:
    gpu = Device(name="cuda:0", platform="cuda", model="a GPU", unavailable={})
    with sqlite_store.devices.record() as record:
        reading = Reading(figures={"utilisation": 0.5}, unavailable={"power": "no sensor"})
        record.add([CPU, gpu], {"cpu": reading, "cuda:0": all_unavailable("it hangs")}, trouble="no torch")
    (machine,) = sqlite_store.devices.machines()
    assert machine.trouble == "no torch"
    assert [dict(one.unavailable).get("power") for one in machine.devices] == ["no sensor", "it hangs"]
    assert sqlite_store.devices.history(machine.host, "cpu").figures["utilisation"].tolist() == [0.5]
    assert len(sqlite_store.devices.history("nowhere", "cpu").times) == 0


def test_a_machine_that_cannot_be_read_does_not_count(sqlite_store: Store) -> None:
    with sqlite_store.devices.record() as record:
        record.add([CPU], {"cpu": all_unavailable("x")})
    (path,) = sqlite_store.home.devices.glob("*/machine.json")
    path.write_text('{"host": 1}')
    assert sqlite_store.devices.machines() == []


def test_a_name_never_leaves_the_home(home: Path) -> None:
    with open_store(home) as store:
        outside = home.parent / "evil.ring"
        write(outside, [START])
        assert len(store.devices.history("../..", "evil").times) == 0
        assert len(store.devices.history("..", "../evil").times) == 0


def test_times_are_those_of_the_clock(sqlite_store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = clock.now()
    monkeypatch.setattr(clock, "now", lambda: moment)
    with sqlite_store.devices.record() as record:
        record.add([CPU], {"cpu": all_unavailable("x")})
    (machine,) = sqlite_store.devices.machines()
    assert sqlite_store.devices.history(machine.host, "cpu").times.tolist() == [moment.timestamp()]
