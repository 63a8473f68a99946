"""Readings of devices: right where the system tells, and with a reason where it does not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from modelyard.agent import device_readings, device_recorder
from modelyard.agent.device_readings import Amd, Energy, Nvidia, Processor, sources
from modelyard.agent.device_recorder import DeviceRecorder
from modelyard.agent.devices import DeviceInfo
from modelyard.domain.device import FIGURES, Device, Reading, all_unavailable
from modelyard.domain.errors import ModelyardError
from modelyard.store import Store


def _gpu(number: int = 0, *, uuid: str = "", platform: str = "cuda", pci: str = "") -> DeviceInfo:
    name = f"cuda:{number}"
    return DeviceInfo(name=name, kind="cuda", model="a GPU", memory_bytes=1, platform=platform, uuid=uuid, pci=pci)


@pytest.fixture
def smi(tmp_path: Path) -> Callable[..., str]:
    """Make a command that answers as nvidia-smi does."""

    def make(*lines: str, code: int = 0, first: str = "") -> str:
        path = tmp_path / "nvidia-smi"
        text = "\n".join(lines)
        path.write_text(f"#!/bin/sh\n{first}\ncat <<'END'\n{text}\nEND\nexit {code}\n")
        path.chmod(0o700)
        return str(path)

    return make


def test_the_processor_of_this_machine() -> None:
    reading = Processor().read()["cpu"]
    assert 0 <= reading.figures["utilisation"] <= 1
    assert 0 < reading.figures["memory_used"] <= reading.figures["memory_total"] == psutil.virtual_memory().total
    assert reading.figures.keys() | reading.unavailable.keys() == set(FIGURES)
    assert all(reading.unavailable.values())


def test_the_temperature_is_that_of_the_hottest_core(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sensor:
        def __init__(self, current: float) -> None:
            self.current = current

    chips = {"nvme": [Sensor(90.0)], "coretemp": [Sensor(41.0), Sensor(55.0), Sensor(0.0)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: chips, raising=False)
    assert Processor().read()["cpu"].figures["temperature"] == 55.0
    monkeypatch.delattr(psutil, "sensors_temperatures")
    assert "no sensor" in Processor().read()["cpu"].unavailable["temperature"]


def test_power_is_energy_over_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(device_readings.time, "monotonic", lambda: now[0])
    counters = [tmp_path / f"intel-rapl:{number}" / "energy_uj" for number in (0, 1)]
    part = tmp_path / "intel-rapl:0:0" / "energy_uj"  # of package 0, and counted there
    for path in [*counters, part]:
        path.parent.mkdir()
        path.write_text("5000000\n")
    energy = Energy(tmp_path)
    assert energy.watts() == "known from the next reading on"
    now[0] = 12.0
    counters[0].write_text("25000000\n")
    counters[1].write_text("15000000\n")
    assert energy.watts() == 15.0
    now[0] = 14.0
    counters[0].write_text("0\n")
    assert energy.watts() == "known from the next reading on", "the counter began anew"
    counters[0].write_text("what?\n")
    assert "cannot be read" in str(energy.watts())
    assert Energy(tmp_path / "none").watts() == "the system counts no energy of the processor"


def test_nvidia_devices_are_told_apart_by_identifier_whatever_their_order(smi: Callable[..., str]) -> None:
    command = smi(
        "GPU-aaaa, 0, 75, 1024, 4096, 61, 180.50",
        "GPU-bbbb, 1, 0, 10, 4096, 30, [N/A]",
    )
    found = Nvidia([_gpu(0, uuid="bbbb"), _gpu(1, uuid="aaaa"), _gpu(2, uuid="cccc")], command).read()
    assert found["cuda:1"].figures == {
        "utilisation": 0.75,
        "memory_used": 2**30,
        "memory_total": 2**32,
        "temperature": 61.0,
        "power": 180.5,
    }
    assert found["cuda:0"].unavailable == {"power": "the driver says [N/A]"}
    assert set(found["cuda:2"].unavailable.values()) == {"nvidia-smi does not list this device"}
    by_number = Nvidia([_gpu(1)], command).read()
    assert by_number["cuda:1"].figures["memory_used"] == 10 * 2**20


def test_nvidia_smi_that_fails_hangs_or_is_missing_is_a_reason(
    smi: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def why(command: str) -> str:
        reading = Nvidia([_gpu()], command).read()["cuda:0"]
        assert reading.figures == {}
        assert set(reading.unavailable) == set(FIGURES)
        return reading.unavailable["power"]

    mismatch = "Failed to initialize NVML: Driver/library version mismatch"
    assert mismatch in why(smi(mismatch, code=18))
    assert "is not installed" in why(str(tmp_path / "nothing"))
    monkeypatch.setattr(device_readings, "NVIDIA_SECONDS", 0.1)
    assert "did not answer" in why(smi(first="exec sleep 60"))
    assert "does not list" in why(smi("nonsense", "GPU-aaaa, 0, 1"))
    not_a_program = tmp_path / "file"
    not_a_program.write_text("")
    assert "cannot be started" in why(str(not_a_program))


def test_an_amd_device_is_read_from_the_files_of_its_driver(tmp_path: Path) -> None:
    folder = tmp_path / "0000:c1:00.0"
    (folder / "hwmon" / "hwmon3").mkdir(parents=True)
    for name, text in (
        ("gpu_busy_percent", "40"),
        ("mem_info_vram_used", "1000"),
        ("mem_info_vram_total", "8000"),
        ("hwmon/hwmon3/temp1_input", "54000"),
    ):
        (folder / name).write_text(f"{text}\n")
    device = _gpu(platform="rocm", pci="0000:c1:00.0")
    reading = Amd(device, tmp_path).read()["cuda:0"]
    assert reading.figures == {"utilisation": 0.4, "memory_used": 1000, "memory_total": 8000, "temperature": 54}
    assert reading.unavailable == {"power": "the amdgpu driver does not tell it"}
    unknown = Amd(_gpu(platform="rocm"), tmp_path).read()["cuda:0"]
    assert set(unknown.unavailable) == set(FIGURES)


def test_every_kind_of_device_has_a_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    mps = DeviceInfo(name="mps", kind="mps", model="", memory_bytes=None, platform="mps")
    amd = _gpu(1, platform="rocm")
    found: dict[str, Reading] = {}
    for read in sources([_gpu(), amd, mps]):
        found |= read()
    assert set(found) == {"cpu", "cuda:0", "cuda:1", "mps"}
    assert all(found["mps"].unavailable[name] for name in FIGURES)


def _recorded(store: Store, wait_until: Callable[..., None], count: int) -> None:
    def enough() -> bool:
        machines = store.devices.machines()
        return bool(machines) and len(store.devices.history(machines[0].host, "cpu").times) >= count

    wait_until(enough)


def test_readings_are_recorded_until_it_is_left(store: Store, wait_until: Callable[..., None]) -> None:
    said: list[str] = []
    with DeviceRecorder(store, seconds=0.01, say=said.append):
        _recorded(store, wait_until, 3)
    (machine,) = store.devices.machines()
    count = len(store.devices.history(machine.host, "cpu").times)
    assert count >= 3
    assert [device.name for device in machine.devices] == ["cpu"]
    assert said == []
    assert len(store.devices.history(machine.host, "cpu").times) == count


def test_a_second_recorder_says_so_and_takes_over(store: Store, wait_until: Callable[..., None]) -> None:
    said: list[str] = []
    cpu = Device(name="cpu", platform="cpu", model="", unavailable={})
    with store.devices.record() as first:
        first.add([cpu], {"cpu": all_unavailable("x")})
        recorder = DeviceRecorder(store, seconds=0.01, say=said.append)
        with recorder:
            wait_until(lambda: said)
            before = len(store.devices.history(store.devices.machines()[0].host, "cpu").times)
            assert before == 1
            first.__exit__(None, None, None)
            first._writers.clear()
            _recorded(store, wait_until, 3)
    assert len(said) == 1
    assert "another process records" in said[0]


def test_a_home_that_cannot_be_written_ends_nothing(
    store: Store, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    store.home.devices.write_text("in the way")
    with DeviceRecorder(store, seconds=0.01, say=said.append):
        wait_until(lambda: said)
        store.home.devices.unlink()
        _recorded(store, wait_until, 2)
    assert len(said) == 1


def test_why_there_are_no_accelerators_is_kept(
    store: Store, wait_until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Any:
        raise ModelyardError("torch could not be asked for devices: it broke")

    monkeypatch.setattr(device_recorder, "accelerators", fail)
    with DeviceRecorder(store, seconds=0.01, say=print):
        _recorded(store, wait_until, 1)
    (machine,) = store.devices.machines()
    assert "it broke" in machine.trouble
    assert [device.name for device in machine.devices] == ["cpu"]
