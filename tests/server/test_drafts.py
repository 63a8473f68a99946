"""Sweeps that are written in the page: the schema, drafts, estimates, presets; the same words as the command line."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.api.presets import PRESETS
from modelyard.api.sweepfile import parse_runs
from modelyard.api.training import create
from modelyard.cli.main import main
from modelyard.domain.config import SweepSpec
from modelyard.domain.measurement import Facts, Measurement, Situation
from modelyard.domain.structure import workload_hash
from modelyard.server.schema import sweep_text
from modelyard.store import Store
from modelyard.store.circumstances import circumstances
from modelyard.store.measurements import Measurements

BAD = [
    "name: A b\n",
    "name: a\nrnu: {}\n",
    "run:\n  optimizer:\n    name: adamw\n    learning_rat: 0.1\n",
    "run:\n  optimizer: {name: sdg}\n  training: {epochs: 0, batch_size: x}\n",
    "run:\n  metrics: [accuracy, acuracy]\n",
    "run: {seed: 1\n",
    "- a\n",
    "name: a\nname: b\n",
    "search: {method: grid}\n",
    "search:\n  method: grid\n  space:\n    optimizer.lerning_rate: {choice: [1]}\n",
    "search:\n  method: grid\n  space:\n    optimizer.learning_rate: {choice: [0.1, -1]}\n",
    "search:\n  method: random\n  samples: 2\n  space:\n    optimizer.learning_rate: {log: [1, 0.1]}\n",
    "search:\n  method: random\n  samples: 2\n  scheduler: asha\n  metric: val_f1\n  space: {seed: {int: [0, 9]}}\n",
    "run:\n  data: {source: image-folder}\n",
    "run:\n  augment: [{name: rotation, degrees: 300}]\n  model: {name: vit, heads: 3}\n",
    "run:\n  training:\n    early_stopping: {metric: val_acuracy}\n",
    "run: {task: custom}\n",
]


def _draft(client: TestClient, text: str, *edits: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/api/v1/drafts", json={"text": text, "edits": list(edits)})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("text", BAD)
def test_the_page_says_what_the_command_line_says(
    client: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert main(["config", "show", "sweep.yaml", "--json"]) != 0
    told = json.loads(capsys.readouterr().out)["error"]["message"]
    found = _draft(client, text)
    assert "\n".join(one["told"] for one in found["mistakes"]) == told
    assert (found["runs"], found["name"]) == (None, None)
    submitted = client.post("/api/v1/experiments", json={"text": text})
    assert submitted.json()["detail"] == told


def test_a_mistake_names_its_line_and_its_field(client: TestClient) -> None:
    (first, second) = _draft(client, "run:\n  training:\n    epochs: 0\n    batch: 3\n")["mistakes"]
    assert (first["line"], first["field"]) == (3, "run.training.epochs")
    assert (second["line"], second["field"], second["message"][:11]) == (4, "run.training.batch", "unknown key")
    (inner,) = _draft(client, "run:\n  training: {early_stopping: {metric: val_x}}\n")["mistakes"]
    assert (inner["field"], inner["message"][:7]) == ("run.training.early_stopping.metric", "'val_x'")
    (syntax,) = _draft(client, "a: [\n")["mistakes"]
    assert (syntax["line"], syntax["field"]) == (2, "")


def test_edits_come_back_as_text_and_as_values(client: TestClient) -> None:
    edits = [{"path": ["run", "optimizer", "learning_rate"], "value": 0.1}, {"path": ["run", "seed"], "remove": True}]
    found = _draft(client, "name: a  # mine\nrun: {seed: 3}  # gone\n", *edits)
    assert found["text"] == "name: a  # mine\nrun: {optimizer: {learning_rate: 0.1}}  # gone\n"
    assert found["document"] == {"name": "a", "run": {"optimizer": {"learning_rate": 0.1}}}
    assert (found["runs"], found["name"], found["mistakes"], found["lost"]) == (1, "a", [], [])
    unreadable = _draft(client, "a: [\n", *edits)
    assert (unreadable["text"], unreadable["document"]) == ("a: [\n", None)


def test_runs_are_counted_and_what_a_search_draws_in_all(client: TestClient) -> None:
    assert _draft(client, PRESETS["first-try"].text())["runs"] == 6
    text = "search:\n  method: tpe\n  samples: 40\n  space: {optimizer.learning_rate: {log: [0.001, 0.1]}}\n"
    found = _draft(client, text)
    assert (found["runs"], found["samples"]) == (16, 40)


def test_numbers_that_json_lacks_do_no_harm(client: TestClient) -> None:
    found = _draft(client, "run:\n  x: .nan\n  y: [.inf, 1e999]\n")
    assert len(found["mistakes"]) == 2


@pytest.mark.parametrize(
    "body", [{}, {"text": "x" * 2_000_000}, {"text": "a", "edits": [{"path": []}]}, {"text": "a", "edit": []}]
)
def test_requests_that_are_wrong_name_the_field(client: TestClient, body: dict[str, Any]) -> None:
    answer = client.post("/api/v1/drafts", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("body.")


def test_the_schema_is_that_of_the_classes_that_check(client: TestClient) -> None:
    answer = client.get("/api/v1/schema")
    found = answer.json()
    assert found["sweep"] == json.loads(json.dumps(SweepSpec.model_json_schema()))
    rate = found["sweep"]["$defs"]["Sgd"]["properties"]["learning_rate"]
    assert (rate["default"], rate["exclusiveMinimum"]) == (0.1, 0)
    assert rate["description"] == "Base step size; the schedule multiplies it."
    optimizers = found["sweep"]["$defs"]["RunSpec"]["properties"]["optimizer"]["discriminator"]
    assert {"sgd", "adam", "adamw", "rmsprop", "lion", "muon"} == set(optimizers["mapping"])
    assert found["method_fields"]["random"] == ["space", "samples"]
    assert "data" in found["unused_fields"]["custom"]
    assert found["augmentation_presets"]["none"] == []
    again = client.get("/api/v1/schema", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_every_field_of_the_schema_has_a_meaning(client: TestClient) -> None:
    definitions = client.get("/api/v1/schema").json()["sweep"]["$defs"]
    silent = [
        f"{name}.{field}"
        for name, schema in definitions.items()
        for field, about in schema["properties"].items()
        if "description" not in about and field not in {"name", "source"}
    ]
    assert silent == []


def test_presets_are_those_of_the_command_line_and_right(client: TestClient, tmp_path: Path) -> None:
    for preset in client.get("/api/v1/presets").json():
        file = tmp_path / f"{preset['name']}.yaml"
        assert main(["init", str(file), "--preset", preset["name"]]) == 0
        assert file.read_text().replace(str(file), "sweep.yaml") == preset["text"]
        assert _draft(client, preset["text"])["mistakes"] == []


@pytest.mark.parametrize("name", PRESETS)
def test_an_experiments_sweep_is_a_file_to_start_from(client: TestClient, store: Store, name: str) -> None:
    sweep, specs = parse_runs(PRESETS[name].text(), "sweep.yaml")
    made = create(store, sweep, specs, actor="ann")
    text = client.get(f"/api/v1/experiments/{made.id}/text").json()["text"]
    assert parse_runs(text, "other.yaml")[0] == sweep
    assert "cache_mebibytes" not in text
    assert sweep_text(SweepSpec()) == "name: experiment\n"


def test_an_estimate_tells_what_was_measured_before_and_measures_nothing(client: TestClient, store: Store) -> None:
    text = "name: a\nrun: {training: {epochs: 10}}\n"
    found = client.post("/api/v1/drafts/estimate", json={"text": text}).json()
    assert (found["seconds"], found["measured"], found["structures"]) == (None, 0, 1)
    assert found["note"].startswith("not measured yet")
    _measured(store, text)
    found = client.post("/api/v1/drafts/estimate", json={"text": text}).json()
    # start-up 2 s, opening 1 s, 200 steps of 10 ms, and 10 times 359 and once 180 evaluations of 0.1 ms
    assert found["seconds"] == pytest.approx(2 + 1 + 2 + 0.377, abs=0.01)
    assert (found["measured"], found["note"], found["processes"]) == (1, "", 1)
    assert found["memory_bytes"] == 2**20
    wrong = client.post("/api/v1/drafts/estimate", json={"text": "rnu: 1\n"})
    assert wrong.status_code == 422


def _measured(store: Store, text: str) -> None:
    """Keep what ``modelyard plan`` would."""
    _, specs = parse_runs(text, "sweep.yaml")
    now = datetime.now(UTC)
    facts = Facts(
        parameters=610,
        weight_bytes=2440,
        optimizer_bytes=4880,
        cannot_stack="",
        evaluation_seconds=1e-4,
        steps_per_epoch=20,
        train_samples=1258,
        val_samples=359,
        test_samples=180,
        start_seconds=2.0,
        open_seconds=1.0,
        measured_at=now,
    )
    alone = Measurement(
        members=1, processes=1, seconds=0.01, steps=20, peak_bytes=2**20, source="plan", measured_at=now
    )
    situation = Situation(workload=workload_hash(specs), device="cpu")
    Measurements(store.home).keep(situation, circumstances(), facts, alone)


def test_the_same_key_is_queued_once(client: TestClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.server.submitting.check_runs", lambda name, specs, store: [None for _ in specs])
    bodies = [{"text": "name: one\n", "key": "k"}, {"text": "name: one\n", "key": "k"}, {"text": "name: one\n"}]
    ids = [client.post("/api/v1/experiments", json=body).json()["id"] for body in bodies]
    assert ids[0] == ids[1] != ids[2]
    assert len(store.experiments.list()) == 2
    wrong = {"text": "name: A\n", "key": "other"}
    assert client.post("/api/v1/experiments", json=wrong).status_code == 422
    right = {"text": "name: a\n", "key": "other"}
    assert client.post("/api/v1/experiments", json=right).status_code == 201


def test_starting_the_server_imports_neither_torch_nor_pillow() -> None:
    code = "import sys, modelyard.server.serve; sys.exit(any(name in sys.modules for name in ('torch', 'PIL')))"
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
