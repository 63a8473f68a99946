"""Runs over HTTP: lists, details, charts, logs, checkpoints, deletion."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.run import Experiment
from modelyard.store import Store

Train = Callable[[Experiment], None]


def test_pages_go_through_all_runs_once(client: TestClient, queued: Experiment) -> None:
    names = []
    for offset in range(4):
        page = client.get("/api/v1/runs", params={"limit": 1, "offset": offset}).json()
        assert page["total"] == 3
        names += [run["name"] for run in page["runs"]]
    assert names == ["digits-1", "digits-2", "digits-3"]


def test_filters_sorts_and_columns_are_those_of_the_command_line(
    client: TestClient, queued: Experiment, train: Train
) -> None:
    train(queued)
    page = client.get(
        "/api/v1/runs",
        params={
            "experiment": "digits",
            "filter": "state = completed and optimizer.learning_rate > 0.01",
            "sort": "-val_accuracy",
            "column": ["optimizer.learning_rate", "val_accuracy"],
        },
    ).json()
    assert [run["name"] for run in page["runs"]] == ["digits-3", "digits-2"]
    assert page["columns"]["optimizer.learning_rate"] == [0.04, 0.02]
    assert page["columns"]["val_accuracy"] == [run["summary"]["val_accuracy"] for run in page["runs"]]


def test_runs_of_another_project_are_left_out(client: TestClient, queued: Experiment) -> None:
    assert client.get("/api/v1/runs", params={"project": queued.project}).json()["total"] == 3
    assert client.get("/api/v1/runs", params={"project": "other"}).json()["total"] == 0


def test_a_list_says_after_which_event_to_follow(client: TestClient, queued: Experiment, store: Store) -> None:
    assert client.get("/api/v1/runs").json()["as_of"] == store.events.last_seq() > 0


def test_a_run_has_its_config_and_reason(client: TestClient, queued: Experiment) -> None:
    run = client.get("/api/v1/runs/digits-2").json()
    assert run["config"]["optimizer"]["learning_rate"] == 0.02
    assert run["state"] == "queued"
    assert run["reason"] == {"code": "created", "message": "created by ann with experiment digits"}


def test_what_a_run_recorded(client: TestClient, queued: Experiment, train: Train, store: Store) -> None:
    train(queued)
    assert client.get("/api/v1/runs/digits-1/metrics").json()[0] == "train_loss"
    lines = client.get("/api/v1/runs/digits-1/logs").json()
    assert [line["text"] for line in lines["lines"]] == [
        "attempt 1 of digits-1 started",
        "epoch 1 done",
        "epoch 2 done",
    ]
    more = client.get("/api/v1/runs/digits-1/logs", params={"after": lines["next"]}).json()
    assert (more["lines"], more["next"]) == ([], lines["next"])
    assert client.get("/api/v1/runs/digits-1/logs", params={"tail": 1}).json()["lines"][0]["text"] == "epoch 2 done"
    (checkpoint,) = client.get("/api/v1/runs/digits-1/checkpoints").json()
    assert checkpoint["step"] == 20
    kinds = [event["payload"]["type"] for event in client.get("/api/v1/runs/digits-1/events").json()]
    assert kinds[0] == "run.created"
    assert kinds[-1] == "run.state_changed"


def test_a_chart_has_all_runs_on_the_same_steps(client: TestClient, queued: Experiment, train: Train) -> None:
    train(queued)
    ids = [run["id"] for run in client.get("/api/v1/runs").json()["runs"]]
    chart = client.get("/api/v1/charts/train_loss", params={"run": ids, "buckets": 6}).json()
    assert list(chart) == ids
    assert {series["width"] for series in chart.values()} == {4}
    assert all(series["steps"][-1] == 20 for series in chart.values())
    part = client.get("/api/v1/charts/train_loss", params={"run": ids[:1], "first_step": 5, "last_step": 8}).json()
    assert part[ids[0]]["steps"] == [5, 6, 7, 8]


def test_deleting(client: TestClient, queued: Experiment, store: Store) -> None:
    assert client.delete("/api/v1/runs/digits-1").status_code == 200
    assert client.get("/api/v1/runs/digits-1").status_code == 404
    worker = store.leases.register()
    store.leases.claim(worker, limit=1)
    answer = client.delete("/api/v1/experiments/digits")
    assert answer.status_code == 409
    assert client.get("/api/v1/runs").json()["total"] == 2


@pytest.mark.parametrize("path", ["/api/v1/runs", "/api/v1/experiments", "/api/v1/server"])
def test_who_has_the_newest_answer_is_told_so(client: TestClient, queued: Experiment, path: str, store: Store) -> None:
    first = client.get(path)
    again = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    store.runs.delete(store.runs.get("digits-1").id, actor="bob")
    changed = client.get(path, headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.headers["etag"] != first.headers["etag"]


def test_long_answers_are_compressed(client: TestClient, queued: Experiment) -> None:
    assert client.get("/api/v1/runs").headers["content-encoding"] == "gzip"
