"""Data over HTTP: what runs used, what is on this machine, and that nothing outside of the roots is looked at."""

import base64
import io
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from modelyard.api.dataroots import MOST_LISTED, DataRoots
from modelyard.api.inspection import InspectionCancelledError, Watch, inspect_data
from modelyard.api.inspections import Inspections, InspectionState
from modelyard.domain.errors import DataError
from modelyard.domain.run import Experiment
from modelyard.server.context import Context
from modelyard.server.live import LiveFeed
from modelyard.store import Store


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of five pictures, of which one is damaged and two are the same."""
    for label, name in enumerate(("cat", "dog")):
        folder = tmp_path / "data" / "pets" / name
        folder.mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (20, 10), (label * 200, number * 40 if number < 4 else 0, 7)).save(
                folder / f"{number}.png"
            )
    (tmp_path / "data" / "pets" / "dog" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "data" / ".hidden").mkdir()
    (tmp_path / "secret" / "a").mkdir(parents=True)
    (tmp_path / "data" / "link").symlink_to(tmp_path / "secret")
    return tmp_path / "data"


@pytest.fixture
def context(store: Store, root: Path) -> Context:
    return Context(store=store, live=LiveFeed(store), data_roots=DataRoots([root]))


def _over(client: TestClient, inspection_id: str) -> dict[str, Any]:
    while (found := client.get(f"/api/v1/inspections/{inspection_id}").json())["state"] in {"waiting", "reading"}:
        time.sleep(0.05)
    assert isinstance(found, dict)
    return found


def test_a_folder_is_looked_at_and_what_was_found_stays(client: TestClient, root: Path, store: Store) -> None:
    started = client.post("/api/v1/inspections", json={"path": "pets"})
    assert started.status_code == 202
    assert started.json()["data"]["path"] == str(root / "pets")
    found = _over(client, started.json()["id"])
    report = found["report"]
    assert (found["state"], found["done"], found["total"]) == ("done", 11, 11)
    assert report["classes"] == ["cat", "dog"]
    assert sum(split["per_class"]["dog"] for split in report["splits"].values()) == 6
    assert [one["name"] for one in report["corrupt"]] == ["dog/broken.png"]
    assert report["duplicates"]["across_splits"] + report["duplicates"]["within_splits"] == 2
    assert [len(report["samples"][name]) for name in ("cat", "dog")] == [5, 5]
    picture = Image.open(io.BytesIO(base64.b64decode(report["samples"]["dog"][0])))
    assert (picture.size, picture.getpixel((0, 0))) == ((20, 10), (200, 0, 7))
    later = Inspections(store.home, {})
    assert later.get(found["id"]).state is InspectionState.DONE
    assert later.report(found["id"]) == report
    later.close()
    assert client.delete(f"/api/v1/inspections/{found['id']}").status_code == 204
    assert client.get("/api/v1/inspections").json() == []
    assert list(store.home.inspections.iterdir()) == []


def test_data_that_cannot_be_read_fails_with_the_reason(client: TestClient, root: Path) -> None:
    (root / "empty").mkdir()
    found = _over(client, client.post("/api/v1/inspections", json={"path": "empty"}).json()["id"])
    assert (found["state"], found["report"]) == ("failed", None)
    assert "has no class folders" in found["message"]


@pytest.mark.parametrize(
    "path", ["..", "../secret", "/", "link", "link/a", "pets/../../secret", "~nobody-here", "a\0b"]
)
@pytest.mark.parametrize("folder", [True, False])
def test_nothing_outside_of_the_roots_is_looked_at(client: TestClient, path: str, folder: bool) -> None:
    if folder:
        answer = client.get("/api/v1/data/folder", params={"path": path})
    else:
        answer = client.post("/api/v1/inspections", json={"path": path})
    assert answer.status_code == 422
    assert "may be looked at" in answer.json()["detail"] or "is not a path" in answer.json()["detail"]
    assert client.get("/api/v1/inspections").json() == []


def test_a_link_that_leaves_the_roots_later_is_refused_by_the_child(root: Path) -> None:
    watch = Watch(samples=1, environment=DataRoots([root]).environment, is_cancelled=lambda: False)
    with pytest.raises(DataError, match="outside the folders"):
        inspect_data({"source": "image-folder", "path": str(root / "link")}, watch=watch)


def test_folders_are_listed_without_what_is_hidden(client: TestClient, root: Path) -> None:
    found = client.get("/api/v1/data/folder").json()
    assert (found["path"], found["parent"], found["roots"]) == (str(root), None, [str(root)])
    assert found["folders"] == ["link", "pets"]
    inner = client.get("/api/v1/data/folder", params={"path": str(root / "pets" / "dog")}).json()
    assert (inner["folders"], inner["files"], inner["parent"]) == ([], 6, str(root / "pets"))
    assert client.get("/api/v1/data/folder", params={"path": "nothing"}).status_code == 404
    file = client.get("/api/v1/data/folder", params={"path": "pets/dog/0.png"})
    assert (file.status_code, "Not a directory" in file.json()["detail"]) == (422, True)


def test_a_folder_of_very_many_is_cut(client: TestClient, root: Path) -> None:
    for number in range(MOST_LISTED + 1):
        (root / "pets" / f"{number:05}").mkdir()
    found = client.get("/api/v1/data/folder", params={"path": "pets"}).json()
    assert (len(found["folders"]), found["truncated"]) == (MOST_LISTED, True)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"path": ""}, "body.path"),
        ({"path": "pets", "source": "zip"}, "body.source"),
        ({"path": "pets", "val_fraction": 2}, "data.image-folder.val_fraction"),
        ({"path": "pets", "colour": 1}, "body.colour"),
    ],
)
def test_a_wrong_request_names_the_field(client: TestClient, body: dict[str, Any], said: str) -> None:
    answer = client.post("/api/v1/inspections", json=body)
    assert answer.status_code == 422
    assert said.rsplit(".", maxsplit=1)[-1] in answer.json()["detail"]


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspections that go on until they are cancelled."""

    def look(_: dict[str, Any], *, progress: Callable[[int, int], None], watch: Watch) -> dict[str, Any]:
        progress(3, 10)
        while not watch.is_cancelled():
            time.sleep(0.01)
        raise InspectionCancelledError("it was cancelled")

    monkeypatch.setattr("modelyard.api.inspections.inspect_data", look)


@pytest.mark.usefixtures("endless")
def test_one_is_under_way_at_a_time_and_each_can_be_cancelled(client: TestClient) -> None:
    first, second = (client.post("/api/v1/inspections", json={"path": "pets"}).json()["id"] for _ in range(2))
    while client.get(f"/api/v1/inspections/{first}").json()["done"] != 3:
        time.sleep(0.01)
    states = {one["id"]: one["state"] for one in client.get("/api/v1/inspections").json()}
    assert states == {first: "reading", second: "waiting"}
    assert client.delete(f"/api/v1/inspections/{first}").status_code == 409
    assert client.post(f"/api/v1/inspections/{second}/cancel").status_code == 200
    assert client.post(f"/api/v1/inspections/{first}/cancel").status_code == 200
    assert {_over(client, one)["state"] for one in (first, second)} == {"cancelled"}
    assert client.post(f"/api/v1/inspections/{first}/cancel").status_code == 409
    assert client.get("/api/v1/inspections/00000000").status_code == 404


@pytest.mark.usefixtures("endless")
def test_what_was_under_way_when_the_server_ended_is_told(store: Store) -> None:
    one = Inspections(store.home, {})
    ids = [one.start({"source": "digits"}).id for _ in range(2)]
    one.close()
    other = Inspections(store.home, {})
    assert {other.get(each).state for each in ids} == {InspectionState.INTERRUPTED}
    (store.home.inspections / "damaged0.json").write_text("{")
    assert len(other.list()) == 2
    other.close()


def test_a_cancelled_look_ends_its_process(root: Path) -> None:
    before = set(os.listdir("/proc")) if os.path.isdir("/proc") else set()
    watch = Watch(samples=1, environment={}, is_cancelled=lambda: True)
    with pytest.raises(InspectionCancelledError):
        inspect_data({"source": "image-folder", "path": str(root / "pets")}, watch=watch)
    left = [pid for pid in set(os.listdir("/proc")) - before if pid.isdigit() and _parent(pid) == os.getpid()]
    assert left == []


def _parent(pid: str) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def test_data_sets_are_listed_by_what_was_in_them(client: TestClient, queued: Experiment, store: Store) -> None:
    (unused,) = client.get("/api/v1/datasets").json()
    assert (unused["source"], unused["versions"][0]["fingerprint"]) == ("digits", None)
    ((_, lease),) = store.leases.claim(store.leases.register(), limit=1)
    with store.write(lease) as write:
        write.fingerprints({"data": "abc"})
    (digits,) = client.get("/api/v1/datasets").json()
    used = {one["fingerprint"]: one["experiments"] for one in digits["versions"]}
    assert used["abc"] == [{"id": queued.id, "name": "digits", "runs": 1}]
    assert used[None][0]["runs"] == 2
