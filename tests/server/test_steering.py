"""Operations over HTTP are those of the command line."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.run import Experiment, RunState
from modelyard.store import Store


def _ask(client: TestClient, targets: list[str], **op: Any) -> list[dict[str, Any]]:
    answer = client.post("/api/v1/operations", json={"targets": targets, "op": op})
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def test_pause_and_resume_queued_runs(client: TestClient, queued: Experiment, store: Store) -> None:
    (paused,) = _ask(client, ["digits-1"], kind="pause")
    assert (paused["result"], paused["run"]["state"]) == ("done", "paused")
    outcomes = _ask(client, ["digits"], kind="resume")
    assert [one["result"] for one in outcomes] == ["done", "skipped", "skipped"]
    assert store.runs.get("digits-1").state is RunState.QUEUED


def test_what_needs_an_engine_is_pending_until_its_event(client: TestClient, queued: Experiment, store: Store) -> None:
    ((run, lease),) = store.leases.claim(store.leases.register(), limit=1)
    (asked,) = _ask(client, [run.id], kind="pause")
    assert asked["result"] == "pending"
    with store.write(lease) as write:
        write.acknowledge(asked["op_id"], applied_step=7)
    event = store.events.read(run_id=run.id)[-1]
    assert (event.payload.type, event.payload.op_id) == ("control.acknowledged", asked["op_id"])
    (record,) = client.get(f"/api/v1/runs/{run.id}/operations").json()
    assert (record["status"], record["applied_step"], record["actor"]) == ("acknowledged", 7, "ann")


def test_a_run_that_cannot_is_refused_and_the_others_go_on(client: TestClient, queued: Experiment) -> None:
    _ask(client, ["digits-1"], kind="stop")
    first, second = _ask(client, ["digits-1", "digits-2"], kind="pause")
    assert (first["result"], second["result"]) == ("refused", "done")
    assert first["message"]


def test_tune_and_priority(client: TestClient, queued: Experiment, store: Store) -> None:
    (tuned,) = _ask(client, ["digits-1"], kind="tune", learning_rate=0.5)
    assert tuned["result"] == "pending"
    (raised,) = _ask(client, ["digits-1"], kind="priority", priority=7)
    assert (raised["result"], raised["run"]["priority"]) == ("done", 7)


@pytest.mark.parametrize(
    ("op", "field"),
    [
        ({"kind": "tune"}, "body.op.tune"),
        ({"kind": "tune", "learning_rate": -1}, "body.op.tune.learning_rate"),
        ({"kind": "explode"}, "body.op"),
        ({"kind": "pause", "why": "x"}, "body.op.pause.why"),
    ],
)
def test_an_operation_that_makes_no_sense_names_its_field(client: TestClient, op: dict[str, Any], field: str) -> None:
    answer = client.post("/api/v1/operations", json={"targets": ["x"], "op": op})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_nothing_is_asked_if_a_target_is_not_there(client: TestClient, queued: Experiment, store: Store) -> None:
    answer = client.post("/api/v1/operations", json={"targets": ["digits-1", "nobody"], "op": {"kind": "pause"}})
    assert answer.status_code == 404
    assert store.runs.get("digits-1").state is RunState.QUEUED


def test_a_clone_has_its_edits(client: TestClient, queued: Experiment, store: Store) -> None:
    answer = client.post("/api/v1/runs/digits-1/clone", json={"edits": {"optimizer.learning_rate": 0.5}, "priority": 3})
    assert answer.status_code == 201
    cloned = answer.json()
    assert cloned["changes"] == [{"path": "optimizer.learning_rate", "before": 0.01, "after": 0.5}]
    assert (cloned["run"]["priority"], cloned["run"]["parent_id"]) == (3, store.runs.get("digits-1").id)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"edits": {"optimizer.lr": 1}}, "learning_rate"),
        ({"warm_start": "last"}, "checkpoint"),
        ({"inherit_optimizer": True}, "warm"),
    ],
)
def test_a_clone_that_cannot_be_says_why(client: TestClient, queued: Experiment, body: Any, said: str) -> None:
    answer = client.post("/api/v1/runs/digits-1/clone", json=body)
    assert 400 <= answer.status_code < 500
    assert said in answer.json()["detail"]
    assert client.get("/api/v1/runs").json()["total"] == 3


def test_collecting_is_a_dry_run_unless_asked_otherwise(client: TestClient, store: Store) -> None:
    store.blobs.unpin([store.blobs.put([b"nobody needs this"])])
    assert client.post("/api/v1/storage/collect").json()["blobs"] == 1
    assert client.get("/api/v1/storage").json()["unreferenced"] == 17
    done = client.post("/api/v1/storage/collect", params={"dry_run": False}).json()
    assert (done["blobs"], done["freed_bytes"]) == (1, 17)
    assert client.get("/api/v1/storage").json()["unreferenced"] == 0
