"""What uses the disk, and what is freed, over HTTP."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from modelyard.domain.run import Experiment
from modelyard.store import Store

Train = Callable[[Experiment], None]


def test_usage_by_kind_by_experiment_and_by_run(client: TestClient, queued: Experiment, train: Train) -> None:
    train(queued)
    usage = client.get("/api/v1/storage").json()
    (experiment,) = usage["experiments"]
    assert (experiment["id"], experiment["name"]) == (queued.id, "digits")
    assert usage["run_count"] == len(usage["runs"]) == 3
    assert {run["experiment"] for run in usage["runs"]} == {"digits"}
    assert experiment["footprint"]["files"] == usage["checkpoints"] + usage["artifacts"]
    assert experiment["footprint"]["records"] == usage["metrics"] + usage["logs"]
    assert sum(run["footprint"]["records"] for run in usage["runs"]) == experiment["footprint"]["records"]
    takes = [run["footprint"]["files"] + run["footprint"]["records"] for run in usage["runs"]]
    assert takes == sorted(takes, reverse=True)
    assert 0 < usage["total"] < usage["capacity"]
    assert 0 < usage["free"] < usage["capacity"]
    blobs = usage["checkpoints"] + usage["artifacts"] + usage["unreferenced"] + usage["pinned"]
    rest = sum(usage[kind] for kind in ("features", "database", "processes", "other", "reserve"))
    assert usage["total"] == blobs + rest


def test_a_deletion_frees_what_was_said_before(client: TestClient, queued: Experiment, train: Train) -> None:
    train(queued)
    for target, path in (("digits-1", "runs/digits-1"), ("experiment:digits", "experiments/digits")):
        said = client.get("/api/v1/storage/footprint", params={"target": target}).json()
        done = client.delete(f"/api/v1/{path}")
        assert done.status_code == 200
        assert done.json()["freed_bytes"] == said["own"] > 0
    assert client.get("/api/v1/storage").json()["unreferenced"] == 0


def test_a_footprint_of_nothing_that_exists_is_refused(client: TestClient, queued: Experiment) -> None:
    assert client.get("/api/v1/storage/footprint", params={"target": "nobody"}).status_code == 404
    problem = client.get("/api/v1/storage/footprint").json()
    assert problem["errors"][0]["field"] == "query.target"


def test_reserve_and_logs_of_processes_count(client: TestClient, store: Store) -> None:
    store.home.reserve.set_aside()
    store.home.worker_log("w1").write_text("12345")
    (store.home.scratch("abc") / "x").write_text("123")
    usage = client.get("/api/v1/storage").json()
    assert (usage["reserve"], usage["processes"], usage["other"]) == (4 * 2**20, 5, 3)
