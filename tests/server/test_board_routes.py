"""What a board shows besides lists: axes, columns, fields, effects, differences, plan, search, saved views."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.api.training import create
from modelyard.domain.config import SweepSpec
from modelyard.domain.run import Experiment
from modelyard.scheduler.search.expand import expand
from modelyard.store import Store

Train = Callable[[Experiment], None]
RATE = "optimizer.learning_rate"


def chart(client: TestClient, name: str, x: str) -> Any:
    ids = [run["id"] for run in client.get("/api/v1/runs").json()["runs"]]
    answer = client.get(f"/api/v1/charts/{name}", params={"run": ids, "x": x})
    assert answer.status_code == 200, answer.text
    return list(answer.json().values())


def test_a_chart_is_by_steps_epochs_samples_or_time(
    client: TestClient, queued: Experiment, train: Train, store: Store
) -> None:
    train(queued)
    assert chart(client, "val_loss", "step")[0]["x"] == [10, 20]
    assert chart(client, "val_loss", "epoch")[0]["x"] == [1, 2]
    assert chart(client, "train_loss", "epoch")[0]["x"][:2] == [0.1, 0.2]
    assert chart(client, "val_loss", "samples")[0]["x"] == [640, 1280]  # batches of 64
    for series, run in zip(chart(client, "val_loss", "time"), store.runs.list(), strict=True):
        assert run.started_at is not None
        history = store.metrics.history(run.id, "val_loss")
        expected = history.times - run.started_at.timestamp()
        assert series["x"] == pytest.approx(expected.tolist(), abs=2e-3)


def test_runs_with_a_trainer_of_their_own_have_no_known_epochs_or_samples(
    client: TestClient, queued: Experiment, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(queued)
    monkeypatch.setattr("modelyard.api.axes._config", lambda _run: {"trainer": "mine.py:make", "training": {}})
    assert [series["x"] for series in chart(client, "val_loss", "epoch")] == [None] * 3
    assert [series["x"] for series in chart(client, "val_loss", "samples")] == [None] * 3
    assert all(len(series["x"]) == 2 for series in chart(client, "val_loss", "time"))


def test_an_axis_that_does_not_exist_is_refused(client: TestClient, queued: Experiment) -> None:
    answer = client.get("/api/v1/charts/val_loss", params={"run": "a", "x": "distance"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "query.x")


def test_the_best_value_of_a_metric_is_a_column_and_an_order(
    client: TestClient, queued: Experiment, train: Train
) -> None:
    train(queued)
    params = {"column": ["best.val_loss", "best.val_accuracy", "how"], "sort": "best.val_loss"}
    page = client.get("/api/v1/runs", params=params).json()
    assert [run["name"] for run in page["runs"]] == ["digits-3", "digits-2", "digits-1"]
    assert page["columns"]["best.val_loss"] == [1 / (1 + 20 * rate) for rate in (0.04, 0.02, 0.01)]
    assert page["columns"]["best.val_accuracy"] == [20 * rate for rate in (0.04, 0.02, 0.01)]
    assert page["columns"]["how"] == ["sliced"] * 3
    wrong = client.get("/api/v1/runs", params={"column": "best.val_los"})
    assert (wrong.status_code, "did you mean 'best.val_loss'" in wrong.json()["detail"]) == (422, True)


def test_the_best_value_is_not_the_last_one(client: TestClient, queued: Experiment, store: Store) -> None:
    from modelyard.domain.ports import Point

    _, lease = store.leases.claim(store.leases.register(), limit=1)[0]
    with store.write(lease) as write:
        write.begin(
            start_step=0, checkpoint_id=None, total_steps=20, execution="solo", device="cpu", reason="the only one"
        )
        write.points([Point("val_loss", step, 0.0, value) for step, value in ((1, 3.0), (2, 1.0), (3, 2.0))])
    page = client.get("/api/v1/runs", params={"column": ["val_loss", "best.val_loss"]}).json()
    assert (page["columns"]["val_loss"][0], page["columns"]["best.val_loss"][0]) == (2.0, 1.0)


def test_fields_say_what_they_are(client: TestClient, queued: Experiment, train: Train) -> None:
    train(queued)
    found = {field["name"]: field for field in client.get("/api/v1/experiments/digits/fields").json()}
    assert found[RATE] == {"name": RATE, "kind": "config", "differs": True, "lower_is_better": False}
    assert found["seed"]["differs"] is False
    assert (found["state"]["kind"], found["done"]["kind"]) == ("run", "run")
    assert (found["val_loss"]["kind"], found["val_loss"]["lower_is_better"]) == ("metric", True)
    assert found["val_accuracy"]["lower_is_better"] is False
    asked = [name for name, field in found.items() if field["kind"] != "metric"]
    assert client.get("/api/v1/runs", params={"column": asked}).status_code == 200


def test_effects_are_those_of_the_report(client: TestClient, store: Store, train: Train) -> None:
    rates = [0.001 * number for number in range(1, 10)]
    sweep = SweepSpec.model_validate(
        {"name": "nine", "search": {"method": "grid", "space": {RATE: {"choice": rates}}}, "run": {}}
    )
    train(create(store, sweep, expand(sweep), actor="ann"))
    found = client.get("/api/v1/experiments/nine/effects").json()
    assert (found["metric"], found["lower_is_better"]) == ("val_accuracy", False)
    (effect,) = found["effects"]
    assert (effect["field"], effect["correlation"]) == (RATE, 1.0)
    assert effect["explained"] > 0.5
    assert sorted(point["value"] for point in effect["points"]) == rates
    less = client.get("/api/v1/experiments/nine/effects", params={"metric": "val_loss", "filter": f"{RATE} < 0.004"})
    (effect,) = less.json()["effects"]
    assert (len(effect["points"]), effect["correlation"]) == (3, None)
    wrong = client.get("/api/v1/experiments/nine/effects", params={"metric": "val_los"})
    assert wrong.status_code == 404


def test_configs_side_by_side(client: TestClient, queued: Experiment) -> None:
    params: dict[str, Any] = {"run": ["digits-3", "digits-1"]}
    found = client.get("/api/v1/comparison", params=params).json()
    assert [run["name"] for run in found["runs"]] == ["digits-3", "digits-1"]
    assert found["fields"] == [{"name": RATE, "values": [0.04, 0.01], "differs": True}]
    every = client.get("/api/v1/comparison", params=params | {"all": True}).json()["fields"]
    assert {"name": "training.epochs", "values": [2, 2], "differs": False} in every
    assert client.get("/api/v1/comparison").status_code == 422
    assert client.get("/api/v1/comparison", params={"run": "nobody"}).status_code == 404


def test_the_plan_and_how_runs_train_have_reasons(client: TestClient, queued: Experiment, train: Train) -> None:
    plan = client.get("/api/v1/experiments/digits/plan").json()
    assert plan["left"] == 3
    assert plan["groups"][0]["reason"].startswith("3 runs on ")
    (way,) = client.get("/api/v1/experiments/digits/ways").json()
    assert (way["execution"], way["runs"]) == ("", 3)
    train(queued)
    (way,) = client.get("/api/v1/experiments/digits/ways").json()
    assert way == {
        "execution": "sliced", "group": 1, "gain": None, "runs": 3, "devices": ["cpu"], "reason": "because",
    }  # fmt: skip
    assert client.get("/api/v1/experiments/digits/plan").json() == {"left": 0, "cores": plan["cores"], "groups": []}


def test_what_a_search_decided(client: TestClient, queued: Experiment, store: Store, train: Train) -> None:
    assert client.get("/api/v1/experiments/digits/search").json() is None
    scheduler = {"name": "asha", "min_epochs": 1, "reduction": 2}
    sweep = SweepSpec.model_validate(
        {
            "name": "halved",
            "run": {"training": {"epochs": 4}},
            "search": {
                "method": "grid",
                "space": {RATE: {"choice": [0.005, 0.01, 0.02, 0.024]}},
                "scheduler": scheduler,
            },
        }
    )
    train(create(store, sweep, expand(sweep), actor="ann"))
    found = client.get("/api/v1/experiments/halved/search").json()
    assert "asha: rungs at epochs" in found["description"]
    assert (found["trials"], found["ending"] != "") == (4, True)
    assert [rung["epoch"] for rung in found["rungs"]] == [1, 2, 4]
    kinds = {step["kind"] for step in found["history"]}
    assert {"start", "promote", "stop", "end"} <= kinds
    assert all(step["reason"] for step in found["history"])


def test_views_are_kept_overwritten_and_deleted(client: TestClient, queued: Experiment, store: Store) -> None:
    views = f"/api/v1/projects/{queued.project}/views"
    assert client.get(views).json() == []
    before = store.events.last_seq()
    saved = client.put(f"{views}/by rate", json={"search": {"sort": "-val_loss", "columns": [RATE]}}).json()
    assert (saved["name"], saved["saved_by"], saved["search"]["columns"]) == ("by rate", "ann", [RATE])
    client.put(f"{views}/by rate", json={"search": {"x": "time"}})
    client.put(f"{views}/another", json={"search": {}})
    assert [(one["name"], one["search"]) for one in client.get(views).json()] == [
        ("another", {}),
        ("by rate", {"x": "time"}),
    ]
    assert client.delete(f"{views}/by rate").status_code == 204
    assert [one["name"] for one in client.get(views).json()] == ["another"]
    told = [event.payload.type for event in store.events.read(after=before)]
    assert told == ["view.saved"] * 3 + ["view.deleted"]


def test_a_view_that_cannot_be_kept_is_explained(client: TestClient, queued: Experiment) -> None:
    views = f"/api/v1/projects/{queued.project}/views"
    assert client.delete(f"{views}/gone").status_code == 404
    assert client.put("/api/v1/projects/nowhere/views/one", json={"search": {}}).status_code == 404
    assert client.put(f"{views}/{'x' * 81}", json={"search": {}}).json()["errors"][0]["field"] == "path.name"
    assert client.put(f"{views}/one", json={"serch": {}}).status_code == 422
    large = client.put(f"{views}/one", json={"search": {"filter": "x" * 30_000}})
    assert (large.status_code, "at most 20,000" in large.json()["detail"]) == (422, True)
    nan = client.put(f"{views}/one", content='{"search": {"a": NaN}}', headers={"content-type": "application/json"})
    assert nan.status_code == 422
    assert client.get(views).json() == []
