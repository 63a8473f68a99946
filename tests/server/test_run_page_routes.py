"""What the page of a run asks for: artifacts, relatives, logs, and checkpoints to download."""

import io
import zipfile
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from modelyard.api.cloning import clone
from modelyard.domain.run import Experiment
from modelyard.store import Store

Train = Callable[[Experiment], None]


@pytest.fixture
def trained(queued: Experiment, train: Train) -> Experiment:
    train(queued)
    return queued


@pytest.mark.usefixtures("trained")
def test_artifacts_of_each_step(client: TestClient) -> None:
    (history,) = client.get("/api/v1/runs/digits-1/artifacts").json()
    assert history == {"name": "val/confusion_matrix", "steps": [0, 10, 20]}
    newest = client.get("/api/v1/runs/digits-1/artifacts/val/confusion_matrix").json()
    assert (newest["step"], newest["content"]["counts"]) == (20, [[5, 1], [0, 4]])
    first = client.get("/api/v1/runs/digits-1/artifacts/val/confusion_matrix", params={"step": 0}).json()
    assert (first["step"], first["content"]["counts"]) == (0, [[3, 1], [0, 4]])
    missing = client.get("/api/v1/runs/digits-1/artifacts/val/confusion", params={"step": 0})
    assert missing.status_code == 404
    assert "did you mean 'val/confusion_matrix'" in missing.json()["detail"]


@pytest.mark.usefixtures("trained")
def test_a_confusion_matrix_with_the_figures_of_each_class(client: TestClient, store: Store) -> None:
    path = "/api/v1/runs/digits-1/confusion/val/confusion_matrix"
    found = client.get(path, params={"step": 0}).json()
    assert found["counts"] == [[3, 1], [0, 4]]
    cat, dog = found["classes"]
    assert cat == {"name": "cat", "support": 4, "precision": 1.0, "recall": 0.75, "f1": pytest.approx(6 / 7)}
    assert dog == {"name": "dog", "support": 4, "precision": 0.8, "recall": 1.0, "f1": pytest.approx(8 / 9)}
    assert client.get(path, params={"step": 5}).status_code == 404
    (worker, run) = store.leases.register(), client.post("/api/v1/runs/digits-1/clone", json={}).json()["run"]
    ((_, lease),) = store.leases.claim(worker, limit=1)
    blob = store.blobs.put([b'{"classes": ["a"], "counts": "none"}'])
    with store.write(lease) as write:
        write.artifact("val/confusion_matrix", blob, step=1)
    refused = client.get(f"/api/v1/runs/{run['id']}/confusion/val/confusion_matrix")
    assert refused.status_code == 404
    assert "no confusion matrix that can be read" in refused.json()["detail"]


@pytest.mark.usefixtures("trained")
def test_relatives_of_a_run(client: TestClient, store: Store) -> None:
    parent = store.runs.get("digits-1")
    child = clone(store, parent, {}, warm_start="best", actor="ann").run
    alone = client.get("/api/v1/runs/digits-2/lineage").json()
    assert alone == {"parent": None, "start": None, "shared": None, "clones": [], "sharing": []}
    assert [one["name"] for one in client.get("/api/v1/runs/digits-1/lineage").json()["clones"]] == [child.name]
    found = client.get(f"/api/v1/runs/{child.id}/lineage").json()
    assert found["parent"]["id"] == parent.id
    assert found["start"]["checkpoint_id"] == child.warm_start
    assert (found["start"]["run"]["name"], found["start"]["step"]) == ("digits-1", 20)
    store.runs.delete(parent.id, actor="bob")
    orphan = client.get(f"/api/v1/runs/{child.id}/lineage").json()
    assert orphan["parent"] is None
    assert (orphan["start"]["checkpoint_id"], orphan["start"]["run"]) == (child.warm_start, None)


@pytest.mark.usefixtures("trained")
def test_a_log_is_searched_as_a_whole(client: TestClient) -> None:
    path = "/api/v1/runs/digits-1/logs/matches"
    assert client.get(path, params={"text": "EPOCH"}).json() == [2, 3]
    assert client.get(path, params={"text": "epoch", "after": 2}).json() == [3]
    assert client.get(path, params={"text": "%"}).json() == []
    assert client.get(path, params={"text": ""}).status_code == 422
    trouble = client.get("/api/v1/runs/digits-1/logs", params={"trouble": True}).json()
    assert (trouble["lines"], trouble["next"]) == ([], 3)


@pytest.mark.usefixtures("trained")
def test_a_checkpoint_is_downloaded_whole_and_checked(client: TestClient, store: Store) -> None:
    checkpoint = store.checkpoints.find(store.runs.get("digits-1").id, "last")
    (view,) = client.get("/api/v1/runs/digits-1/checkpoints").json()
    assert view["files"] == {name: blob.size for name, blob in checkpoint.files.items()}
    answer = client.get("/api/v1/runs/digits-1/checkpoints/last/archive")
    assert answer.headers["content-disposition"] == 'attachment; filename="digits-1-step-20.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {"model.safetensors", "state.safetensors"}
        blob = checkpoint.files["model.safetensors"]
        assert archive.read("model.safetensors") == store.blobs.path(blob.digest).read_bytes()
    assert client.get("/api/v1/runs/digits-1/checkpoints/7/archive").status_code == 404
    store.blobs.path(blob.digest).write_bytes(b"damaged")
    damaged = client.get(f"/api/v1/runs/digits-1/checkpoints/{checkpoint.id}/archive")
    assert damaged.status_code == 500
    assert "is damaged" in damaged.json()["detail"]
