"""The audit trail over HTTP: whole, newest first, by cursor, with names of what is gone."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.control import Pause
from modelyard.domain.events import EVENT_TYPES
from modelyard.domain.run import Experiment
from modelyard.store import Store

Train = Callable[[Experiment], None]


def _get(client: TestClient, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/activity", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_pages_hold_every_event_once_newest_first(
    client: TestClient, queued: Experiment, train: Train, store: Store
) -> None:
    train(queued)
    seen: list[int] = []
    page = _get(client, limit=4)
    while True:
        seen += [event["seq"] for event in page["events"]]
        if page["next"] is None:
            break
        page = _get(client, limit=4, before=page["next"])
    assert seen == [event.seq for event in reversed(store.events.read(limit=10_000))]


def test_a_full_last_page_has_nothing_after_it(client: TestClient, queued: Experiment, store: Store) -> None:
    assert _get(client, limit=store.events.last_seq())["next"] is None
    assert _get(client, limit=store.events.last_seq() - 1)["next"] == 2


def test_filters_by_kind_person_experiment_and_run(client: TestClient, queued: Experiment, store: Store) -> None:
    store.runs.request(store.runs.get("digits-2").id, Pause(), actor="bob_1")
    store.runs.request(store.runs.get("digits-3").id, Pause(), actor="bobby")
    kinds = [event["payload"]["type"] for event in _get(client, kind=["run.created", "experiment.created"])["events"]]
    assert kinds == ["run.created"] * 3 + ["experiment.created"]
    assert {event["actor"] for event in _get(client, actor="bob")["events"]} == {"bob_1", "bobby"}
    assert {event["actor"] for event in _get(client, actor="bob_")["events"]} == {"bob_1"}, "no wildcards"
    of_run = _get(client, run="digits-2")
    assert [event["payload"]["type"] for event in of_run["events"]] == [
        "control.acknowledged",
        "run.state_changed",
        "control.requested",
        "run.created",
    ]
    assert [one["name"] for one in of_run["runs"].values()] == ["digits-2"]
    assert _get(client, experiment="digits")["experiments"][queued.id] == {"name": "digits", "exists": True}


def test_what_was_deleted_is_still_found_by_name_and_id(client: TestClient, queued: Experiment, store: Store) -> None:
    run = store.runs.get("digits-1")
    store.runs.delete(run.id, actor="bob")
    for ref in (run.id, "digits-1"):
        found = _get(client, run=ref)
        assert [event["payload"]["type"] for event in found["events"]] == ["run.deleted", "run.created"]
        assert found["runs"] == {run.id: {"name": "digits-1", "exists": False}}
    store.experiments.delete(queued.id, actor="bob")
    for ref in (queued.id, "digits"):
        found = _get(client, experiment=ref)
        assert found["experiments"] == {queued.id: {"name": "digits", "exists": False}}
        assert [one["name"] for one in found["runs"].values()].count("digits-2") == 1


@pytest.mark.parametrize("query", [{"run": "nobody"}, {"experiment": "nothing"}])
def test_what_never_was_is_not_found(client: TestClient, queued: Experiment, query: dict[str, str]) -> None:
    assert client.get("/api/v1/activity", params=query).status_code == 404


def test_a_kind_that_there_is_not_is_named_with_those_there_are(client: TestClient) -> None:
    problem = client.get("/api/v1/activity", params={"kind": "run.exploded"}).json()
    assert problem["status"] == 422
    assert problem["errors"][0]["field"] == "query.kind.0"
    assert "run.exploded" in problem["detail"]
    assert all(kind in problem["detail"] for kind in EVENT_TYPES)
