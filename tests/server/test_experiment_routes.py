"""Sweeps over HTTP: checked, queued, listed."""

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.run import Experiment
from modelyard.store import Store

TEXT = """\
name: rates
run:
  data: {source: digits}
  training: {epochs: 1}
search:
  method: grid
  space:
    optimizer.learning_rate: {choice: [0.1, 0.01]}
"""


@pytest.mark.usefixtures("_checks_nothing")
def test_the_text_of_a_sweep_file_becomes_an_experiment(client: TestClient, store: Store) -> None:
    answer = client.post("/api/v1/experiments", json={"text": TEXT})
    assert answer.status_code == 201
    assert answer.json()["states"] == {"queued": 2}
    assert store.experiments.get("rates").id == answer.json()["id"]
    event = store.events.read()[0]
    assert (event.payload.type, event.actor) == ("experiment.created", "ann")


@pytest.fixture
def _checks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.server.submitting.check_runs", lambda name, specs, store: [None for _ in specs])


def test_what_training_would_end_with_is_told_and_nothing_is_queued(client: TestClient, store: Store) -> None:
    wrong = TEXT.replace("epochs: 1", "epochs: 1, batch_size: 5000")
    answer = client.post("/api/v1/experiments", json={"text": wrong})
    assert answer.status_code == 422
    assert "training.batch_size: 5000 is larger than" in answer.json()["detail"]
    assert store.experiments.list() == []


def test_mistakes_are_told_with_their_lines(client: TestClient) -> None:
    answer = client.post("/api/v1/experiments/validate", json={"text": TEXT.replace("epochs: 1", "epochs: -1")})
    assert answer.status_code == 200
    found = answer.json()
    assert found["valid"] is False
    assert found["problems"][0].startswith("sweep.yaml:4: run.training.epochs")


def test_a_sweep_that_is_wrong_names_each_field(client: TestClient, store: Store) -> None:
    wrong = TEXT.replace("epochs: 1", "epochs: -1, batch: 3")
    answer = client.post("/api/v1/experiments", json={"text": wrong})
    assert answer.status_code == 422
    assert {one["field"] for one in answer.json()["errors"]} == {"run.training.epochs", "run.training.batch"}
    assert store.experiments.list() == []


def test_a_sweep_that_is_right_comes_back_whole(client: TestClient) -> None:
    sweep = {"name": "s", "run": {"training": {"epochs": 3}}}
    found = client.post("/api/v1/experiments/validate", json={"sweep": sweep}).json()
    assert (found["valid"], found["runs"], found["name"]) == (True, 1, "s")
    assert found["sweep"]["run"]["training"]["epochs"] == 3


@pytest.mark.parametrize("body", [{}, {"text": "a: 1", "sweep": {}}, {"txt": "a"}])
def test_a_submission_is_one_text_or_one_sweep(client: TestClient, body: dict[str, object]) -> None:
    assert client.post("/api/v1/experiments", json=body).status_code == 422


def test_lists_count_states(client: TestClient, queued: Experiment, store: Store) -> None:
    store.leases.claim(store.leases.register(), limit=1)
    states = {"queued": 2, "running": 1}
    (experiment,) = client.get("/api/v1/experiments").json()
    assert (experiment["name"], experiment["states"]) == ("digits", states)
    (project,) = client.get("/api/v1/projects").json()
    assert project == {"name": queued.project, "experiments": 1, "runs": 3, "states": states}
    detail = client.get(f"/api/v1/experiments/{queued.id[:8]}").json()
    assert detail["states"] == states
    assert detail["sweep"]["search"]["method"] == "grid"
    assert client.get("/api/v1/experiments", params={"project": "other"}).json() == []
