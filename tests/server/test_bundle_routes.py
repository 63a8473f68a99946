"""Bundles over HTTP: sent and taken in as streams, refused as problem documents, and nothing stays behind."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from modelyard.domain.run import Experiment, RunState
from modelyard.server.app import MOST_BYTES, create_app
from modelyard.server.context import Context
from modelyard.server.live import LiveFeed
from modelyard.store import Store, open_store

Train = Callable[[Experiment], None]


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "away") as opened:
        yield opened


@pytest.fixture
def there(away: Store) -> Iterator[TestClient]:
    """Another server, with another home."""
    with TestClient(create_app(Context(store=away, live=LiveFeed(away)), actor="joe")) as opened:
        yield opened


def nothing_stays(store: Store) -> bool:
    return list(store.blobs.temporary.iterdir()) == []


def test_an_experiment_goes_from_one_server_to_another(
    client: TestClient, there: TestClient, queued: Experiment, train: Train, store: Store, away: Store
) -> None:
    train(queued)
    sent = client.get("/api/v1/experiments/digits/bundle")
    assert sent.headers["content-type"] == "application/zip"
    assert sent.headers["content-disposition"] == 'attachment; filename="digits.zip"'
    assert int(sent.headers["content-length"]) == len(sent.content)
    came = there.post("/api/v1/bundles", content=sent.content)
    assert came.status_code == 201
    assert came.json()["runs"] == ["digits-1", "digits-2", "digits-3"]
    again = there.post("/api/v1/bundles", content=sent.content).json()
    assert (again["runs"], again["present"]) == ([], ["digits-1", "digits-2", "digits-3"])
    for path in ("runs", "runs/digits-2", "runs/digits-2/logs", "runs/digits-2/checkpoints", "experiments/digits"):
        mine, theirs = (api.get(f"/api/v1/{path}").json() for api in (client, there))
        for answer in (mine, theirs):
            answer.pop("as_of", None) if isinstance(answer, dict) else None
        assert mine == theirs
    events = there.get("/api/v1/runs/digits-2/events").json()
    assert (events[-1]["payload"]["type"], events[-1]["actor"]) == ("run.imported", "joe")
    assert nothing_stays(store)
    assert nothing_stays(away)


def test_a_run_without_checkpoints(client: TestClient, there: TestClient, queued: Experiment, away: Store) -> None:
    sent = client.get("/api/v1/runs/digits-2/bundle", params={"checkpoints": "none"})
    assert there.post("/api/v1/bundles", content=sent.content).json()["paused"] == ["digits-2"]
    assert [run.state for run in away.runs.list()] == [RunState.PAUSED]
    assert client.get("/api/v1/runs/digits/bundle").status_code == 404, "that is an experiment"
    assert client.get("/api/v1/runs/digits-2/bundle", params={"checkpoints": "some"}).status_code == 422


def test_what_is_no_bundle_is_a_problem_and_leaves_nothing(there: TestClient, away: Store) -> None:
    problem = there.post("/api/v1/bundles", content=b"x" * 1000)
    assert problem.status_code == 422
    assert problem.headers["content-type"] == "application/problem+json"
    assert problem.json()["detail"].startswith("the bundle: this is no zip archive")
    assert nothing_stays(away)
    assert away.events.last_seq() == 0


def test_a_clash_is_a_conflict(client: TestClient, there: TestClient, queued: Experiment, away: Store) -> None:
    from modelyard.store import schema

    sent = client.get("/api/v1/experiments/digits/bundle").content
    there.post("/api/v1/bundles", content=sent)
    with away.database.write() as connection:
        connection.execute(schema.runs.update().values(spec_hash="0" * 64))
    answer = there.post("/api/v1/bundles", content=sent)
    assert (answer.status_code, answer.json()["title"]) == (409, "Conflict")


def test_a_bundle_may_be_larger_than_other_requests(there: TestClient, away: Store) -> None:
    large = b"x" * (MOST_BYTES + 1)
    assert there.post("/api/v1/bundles", content=large).status_code == 422, "it was read, and is none"
    assert there.post("/api/v1/experiments", content=large).status_code == 413
    assert nothing_stays(away)


def test_an_upload_beyond_the_limit_is_refused(there: TestClient, away: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelyard.server.routes import bundles

    assert bundles.MOST_BYTES == 1 << 40

    def pieces() -> Iterator[bytes]:
        yield b"x" * 1000

    assert there.post("/api/v1/bundles", content=pieces()).status_code == 422
    told = there.post("/api/v1/bundles", content=b"x", headers={"content-length": str((1 << 40) + 1)})
    assert told.status_code == 413
    assert nothing_stays(away)


def test_who_goes_away_leaves_nothing(served: httpx.Client, queued: Experiment, store: Store, tmp_path: Path) -> None:
    with served.stream("GET", "/api/v1/experiments/digits/bundle") as answer:
        next(answer.iter_raw(16))
    assert nothing_stays(store)

    def cut_off() -> Iterator[bytes]:
        yield b"PK"
        raise RuntimeError("gone")

    with pytest.raises(RuntimeError, match="gone"):
        served.post("/api/v1/bundles", content=cut_off())
    whole = served.get("/api/v1/experiments/digits/bundle").content
    (tmp_path / "whole.zip").write_bytes(whole)
    assert zipfile.is_zipfile(tmp_path / "whole.zip")
    assert served.post("/api/v1/bundles", content=whole).json()["runs"] == [], "all of it is here"
    assert nothing_stays(store)
