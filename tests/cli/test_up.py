"""``modelyard up`` as real processes: one server to a home, an agent beside it, and what is left after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from modelyard.agent.presence import live_agents
from modelyard.cli.main import main
from modelyard.domain.run import RunState
from modelyard.server.serve import Address
from modelyard.store import Store, open_store

START_SECONDS = 60.0
Up = Callable[..., tuple[subprocess.Popen[str], str]]


def _command(home: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "modelyard.cli.main", "--home", str(home), *arguments]


@pytest.fixture
def up(home: Path) -> Iterator[Up]:
    """Start a server; returns its process and address."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        process = subprocess.Popen(
            _command(home, "up", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("Modelyard is at http://127.0.0.1:"), process.stderr and process.stderr.read()
        return process, line.split()[3]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            process.wait(60)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.covers("up")
def test_a_second_server_says_where_the_first_one_is(up: Up, home: Path) -> None:
    first, url = up("--no-agent")
    second = subprocess.run(_command(home, "up"), capture_output=True, text=True, check=False)
    assert second.returncode == 4
    assert f"is served already at {url} (process {first.pid})" in second.stderr
    assert httpx.get(f"{url}/api/v1/server").json()["agents"] == []
    first.send_signal(signal.SIGINT)
    assert first.wait(30) == 0
    assert not (home / "server.json").exists()


@pytest.mark.covers("up --json")
def test_json_is_one_document(home: Path) -> None:
    server = subprocess.Popen(_command(home, "up", "--no-agent", "--json"), stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    document = ""
    while not document.endswith("}\n"):
        document += server.stdout.readline()
    found = json.loads(document)
    assert found["pid"] == server.pid
    assert httpx.get(f"{found['url']}/api/v1/server").status_code == 200
    server.terminate()
    assert server.communicate()[0] == ""


def test_after_a_kill_the_next_one_serves(up: Up) -> None:
    first, _ = up("--no-agent")
    first.kill()
    first.wait()
    _, url = up("--no-agent")
    assert httpx.get(f"{url}/api/v1/server").status_code == 200


def test_sigterm_ends_it_in_order(up: Up, home: Path) -> None:
    server, _ = up("--no-agent")
    server.terminate()
    assert server.wait(30) == 0
    assert not (home / "server.json").exists()


@pytest.mark.covers("up --data-root")
def test_data_is_looked_at_below_the_roots_alone(up: Up, tmp_path: Path) -> None:
    (tmp_path / "data" / "pets").mkdir(parents=True)
    _, url = up("--no-agent", "--data-root", str(tmp_path / "data"))
    assert httpx.get(f"{url}/api/v1/data/folder").json()["folders"] == ["pets"]
    assert httpx.get(f"{url}/api/v1/data/folder", params={"path": str(tmp_path)}).status_code == 422


@pytest.mark.covers("up --open")
def test_it_is_opened_in_the_browser_if_that_is_asked_for(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    address = Address(url="http://127.0.0.1:1", pid=1)
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr("modelyard.cli.up.serve", lambda store, options, *, ready: ready(address))
    assert main(["--home", str(home), "up"]) == 0
    assert opened == []
    assert main(["--home", str(home), "up", "--open"]) == 0
    assert opened == [address.url]
    assert address.url in capsys.readouterr().out


@pytest.mark.covers("up --port")
def test_a_port_that_is_taken_is_told(up: Up, tmp_path: Path) -> None:
    _, url = up("--no-agent")
    port = url.rpartition(":")[2]
    other = subprocess.run(
        _command(tmp_path / "other", "up", "--port", port), capture_output=True, text=True, check=False
    )
    assert other.returncode == 2
    assert f"port {port}" in other.stderr
    assert "--port" in other.stderr


@pytest.mark.covers("up --data-root")
def test_images_of_a_named_folder_may_be_looked_at(up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for name in ("shared", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "it.png").touch()
    _, url = up("--no-agent", "--data-root", str(tmp_path / "shared"))
    listed = httpx.get(f"{url}/api/v1/folders", params={"path": str(tmp_path / "shared")})
    assert listed.json()["files"] == ["it.png"]
    refused = httpx.get(f"{url}/api/v1/folders", params={"path": str(tmp_path / "other")})
    assert refused.status_code == 422
    assert "start modelyard up with --data-root" in refused.json()["detail"]


def test_the_server_does_not_import_torch() -> None:
    code = "import sys, modelyard.server.serve; print(sorted({'torch', 'transformers', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.covers("up --agent")
def test_what_is_sent_is_trained_and_told_live(up: Up, home: Path) -> None:
    _, url = up()
    sweep = {
        "name": "rates",
        "run": {"data": {"source": "digits"}, "training": {"epochs": 2}},
        "search": {"method": "grid", "space": {"optimizer.learning_rate": {"choice": [0.01, 0.001]}}},
    }
    answer = httpx.post(f"{url}/api/v1/experiments", json={"sweep": sweep}, timeout=120)
    assert answer.status_code == 201, answer.text
    ended = set()
    with httpx.stream("GET", f"{url}/api/v1/stream?after=0", timeout=120) as stream:
        for line in stream.iter_lines():
            if line.startswith("data: ") and '"run.state_changed"' in line:
                event = json.loads(line.removeprefix("data: "))
                if event["payload"]["after"] == "completed":
                    ended.add(event["run_id"])
            if len(ended) == 2:
                break
    with open_store(home) as store:
        assert {run.state for run in store.runs.list()} == {RunState.COMPLETED}


def test_an_agent_that_is_killed_is_started_again_and_ends_with_the_server(up: Up, home: Path, store: Store) -> None:
    server, _ = up()
    _wait(lambda: bool(live_agents(store)))
    first = live_agents(store)[0].pid
    os.kill(first, signal.SIGKILL)
    _wait(lambda: any(agent.pid != first for agent in live_agents(store)))
    server.send_signal(signal.SIGINT)
    assert server.wait(60) == 0
    assert live_agents(store) == []


def test_an_agent_that_a_killed_server_left_ends_with_the_next_one(up: Up, store: Store) -> None:
    first, _ = up()
    _wait(lambda: bool(live_agents(store)))
    (agent,) = live_agents(store)
    first.kill()
    first.wait()
    second, url = up()
    assert [one["pid"] for one in httpx.get(f"{url}/api/v1/server").json()["agents"]] == [agent.pid]
    second.send_signal(signal.SIGINT)
    assert second.wait(60) == 0
    assert live_agents(store) == []


def test_why_there_is_no_agent_is_told(up: Up, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "if 'modelyard.api.home_agent' in sys.orig_argv:\n"
        "    print('no luck today', file=sys.stderr, flush=True)\n"
        "    os._exit(7)"
    )
    (tmp_path / "sitecustomize.py").write_text(f"{code}\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _, url = up()
    _wait(lambda: httpx.get(f"{url}/api/v1/server").json()["trouble"] != "")
    said = httpx.get(f"{url}/api/v1/server").json()["trouble"]
    assert said == "the agent ended with exit code 7: no luck today"


def test_train_leaves_its_runs_to_the_agent_of_the_server(up: Up, home: Path, store: Store, tmp_path: Path) -> None:
    up()
    _wait(lambda: bool(live_agents(store)))
    (agent,) = live_agents(store)
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text("name: one\nrun:\n  data: {source: digits}\n  training: {epochs: 1}\n")
    done = subprocess.run(_command(home, "train", str(sweep)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"process {agent.pid}" in done.stdout
    assert "one-1: completed" in done.stdout
