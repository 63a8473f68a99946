"""Predictions over HTTP: which model is asked what, which files may be read, and what is answered."""

from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.api.dataroots import DataRoots
from modelyard.domain.errors import DataError, UserError
from modelyard.domain.run import Experiment
from modelyard.server.app import MOST_BYTES
from modelyard.server.context import Context
from modelyard.server.folders import images_in
from modelyard.store import Store

PATH = "/api/v1/predictions"


class Models:
    """Answers in place of the process."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.restarts = 0
        self.dies = False

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(request)
        self.restarts += self.dies
        if request["do"] == "samples":
            sizes = {"size": 9, "predicted": 9, "total": 0}
            return {"classes": ["a", "b"], "same_data": True, **sizes, "samples": []}
        if request["name"].startswith("bad"):
            raise DataError(f"{request['name']}: cannot read the image")
        pictures = {"input": "aW4=", "saliency": "c2E="} if request["pictures"] else {}
        return {"probabilities": {str(n): n / 45 for n in range(10)}, **pictures}

    def close(self) -> None:
        """Nothing runs."""


@pytest.fixture
def models(context: Context) -> Models:
    made = Models()
    context.__dict__["models"] = made
    return made


@pytest.fixture(autouse=True)
def _trained(models: Models, queued: Experiment, train: Callable[[Experiment], None]) -> None:
    train(queued)


def test_models_side_by_side(client: TestClient, models: Models, store: Store) -> None:
    models.dies = True
    answer = client.post(PATH, params={"model": ["digits-1", "digits-2:20"], "name": "it.png"}, content=b"pixels")
    found = answer.json()
    ids = [store.checkpoints.find(store.runs.get(name).id, "best").id for name in ("digits-1", "digits-2")]
    assert [one["checkpoint_id"] for one in found["predictions"]] == ids
    assert [one["model"] for one in found["predictions"]] == ["digits-1", "digits-2:20"]
    first = found["predictions"][0]
    assert (first["run"], first["step"], first["label"], first["error"]) == ("digits-1", 20, "9", None)
    assert list(first["probabilities"]) == ["9", "8", "7", "6", "5"]
    assert (first["input"], first["saliency"]) == ("aW4=", "c2E=")
    assert found["restarted"]
    assert [b64decode(one["image"]) for one in models.asked] == [b"pixels", b"pixels"]


def test_an_image_that_cannot_be_read_is_an_error_of_its_own(client: TestClient) -> None:
    found = client.post(PATH, params={"model": "digits-1", "name": "bad.png"}, content=b"x").json()
    (one,) = found["predictions"]
    assert not found["restarted"]
    assert (one["label"], one["probabilities"], one["error"]) == (None, {}, "bad.png: cannot read the image")


def test_what_is_missing_or_too_much_is_said(client: TestClient, models: Models) -> None:
    assert client.post(PATH, params={"model": "digits-1"}).status_code == 422
    assert client.post(PATH, content=b"x").json()["errors"][0]["field"] == "query.model"
    assert client.post(PATH, params={"model": ["digits-1"] * 9}, content=b"x").status_code == 422
    assert client.post(PATH, params={"model": "nobody"}, content=b"x").status_code == 404
    assert client.post(PATH, params={"model": "digits-1:7"}, content=b"x").status_code == 404
    assert client.post(PATH, params={"model": "digits-1"}, content=b"x" * (MOST_BYTES + 1)).status_code == 413
    assert models.asked == []


@pytest.fixture
def folder(context: Context, tmp_path: Path) -> Path:
    """A folder with images, below the only root; another one beside the root."""
    root = tmp_path / "root"
    (root / "images" / "sub").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (tmp_path / "other").mkdir()
    for path in (
        "root/images/b.png",
        "root/images/sub/a.JPG",
        "root/images/bad.png",
        "root/.hidden/x.png",
        "other/c.png",
    ):
        (tmp_path / path).touch()
    (root / "images" / "notes.txt").touch()
    (root / "images" / "out.png").symlink_to(tmp_path / "other" / "c.png")
    (root / "images" / "way out").symlink_to(tmp_path / "other")
    object.__setattr__(context, "data_roots", DataRoots([root]))
    return root / "images"


def test_images_of_a_folder(client: TestClient, models: Models, folder: Path) -> None:
    listed = client.get("/api/v1/folders", params={"path": str(folder)}).json()
    assert listed == {"folder": str(folder), "files": ["b.png", "bad.png", "out.png", "sub/a.JPG"]}
    asked = {"folder": str(folder), "files": [*listed["files"], "../../other/c.png"], "models": ["digits-1"]}
    rows = client.post(f"{PATH}/files", json=asked).json()
    assert [row["file"] for row in rows] == asked["files"]
    errors = [row["predictions"][0]["error"] or "" for row in rows]
    assert [error.split(":")[0] for error in errors] == [
        "",
        "bad.png",
        errors[2].split(":")[0],
        "",
        errors[4].split(":")[0],
    ]
    assert "is outside of" in errors[2]
    assert "is outside of" in errors[4]
    assert [Path(one["file"]) for one in models.asked if one["name"] != "bad.png"] == [
        folder / "b.png",
        folder / "sub/a.JPG",
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/etc", 422),
        ("{root}/../other", 422),
        ("{folder}/way out", 422),
        ("{folder}/none", 404),
        ("{folder}/b.png", 422),
    ],
)
def test_nothing_outside_of_the_roots_is_listed(client: TestClient, folder: Path, path: str, status: int) -> None:
    asked = path.format(folder=folder, root=folder.parent)
    assert client.get("/api/v1/folders", params={"path": asked}).status_code == status


def test_a_root_itself_and_a_home_are_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    roots = DataRoots([Path("~")])
    assert roots.resolve("~") == folder.parent
    assert images_in(roots, "~/images/sub") == ["a.JPG"]
    monkeypatch.setattr("modelyard.server.folders.MOST_IMAGES", 2)
    with pytest.raises(UserError, match="more than 2 images"):
        images_in(roots, "~")


def test_samples_of_the_best_checkpoint(client: TestClient, models: Models, store: Store) -> None:
    run = store.runs.get("digits-1")
    params = {"target": 1, "predicted": 0, "offset": 5, "limit": 7}
    found = client.get("/api/v1/runs/digits-1/samples", params=params).json()
    best = store.checkpoints.find(run.id, "best")
    assert (found["checkpoint_id"], found["step"], found["classes"]) == (best.id, 20, ["a", "b"])
    assert models.asked == [{"do": "samples", "run": run.id, "checkpoint": best.id, **params}]
    assert client.get("/api/v1/runs/digits-1/samples", params={"checkpoint": "7"}).status_code == 404
    assert client.get("/api/v1/runs/digits-1/samples", params={"limit": 0}).status_code == 422
