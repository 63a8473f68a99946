"""The queue over HTTP is the order in which engines take runs."""

from typing import Any

from fastapi.testclient import TestClient

from modelyard.domain.control import SetPriority
from modelyard.domain.run import Experiment
from modelyard.store import Store, following
from modelyard.store.following import Follower
from modelyard.store.run_rows import current


def _queue(client: TestClient) -> list[dict[str, Any]]:
    return list(client.get("/api/v1/queue").json()["runs"])


def test_the_order_is_that_in_which_runs_are_claimed(client: TestClient, queued: Experiment, store: Store) -> None:
    for name, priority in (("digits-2", 5), ("digits-3", -5)):
        store.runs.request(store.runs.get(name).id, SetPriority(priority=priority), actor="ann")
    shown = [one["run"]["name"] for one in _queue(client)]
    assert shown == ["digits-2", "digits-1", "digits-3"]
    assert [one["created"] for one in _queue(client)] == [1, 0, 2]
    worker = store.leases.register()
    claimed = [store.leases.claim(worker, limit=1)[0][0].name for _ in range(3)]
    assert claimed == shown
    assert client.get("/api/v1/queue").json() == {"runs": [], "training": 3}


def test_what_each_waits_for(client: TestClient, queued: Experiment, store: Store) -> None:
    assert {one["waits_for"] for one in _queue(client)} == {"nobody trains: modelyard up, or modelyard resume digits"}
    store.leases.register(kind="agent")
    assert [one["waits_for"] for one in _queue(client)] == [
        "waits for a free place on a device",
        "waits for a free place on a device; 1 run is before it",
        "waits for a free place on a device; 2 runs are before it",
    ]
    worker = store.leases.register()
    ((leader, lease),) = store.leases.claim(worker, limit=1)
    follower = store.runs.get("digits-2")
    with store.database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET past = 'same'")
        run = current(connection, leader.id)
        following.lead(connection, run, [Follower(run_id=follower.id, fork_step=5, total_steps=9)])
    del lease
    waits = [one["waits_for"] for one in _queue(client)]
    assert waits[0] == "waits for digits-1, which trains the first steps of both, up to 5"
    assert waits[1] == "waits for a free place on a device", "who waits for another one is before nobody"


def test_an_agent_of_one_experiment_is_nobody_for_the_others(
    client: TestClient, queued: Experiment, store: Store
) -> None:
    store.leases.register(kind="agent:0123456789abcdef")
    assert _queue(client)[0]["waits_for"].startswith("nobody trains")
    store.leases.register(kind=f"agent:{queued.id}")
    assert _queue(client)[0]["waits_for"] == "waits for a free place on a device"
