"""The page's files: how they are served, how large they are, and that its client is of this very API."""

import gzip
import importlib.util
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from modelyard.server import page

WEB = Path(__file__).parents[2] / "web"
MOST_BYTES = 250_000
"""What a first visit may load, gzipped."""


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "page"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>the page")
    (folder / "assets" / "index-1a2b.js").write_text("1")
    monkeypatch.setattr("modelyard.server.app.FOLDER", folder)
    monkeypatch.setattr(page, "FOLDER", folder)
    return folder


@pytest.mark.parametrize("path", ["/", "/runs/abc", "/experiments/x?sort=-a"])
def test_every_other_address_is_the_page(built: Path, client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (200, "<!doctype html>the page")
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-cache"


def test_files_with_a_hash_in_their_name_are_kept_for_ever(built: Path, client: TestClient) -> None:
    assert "immutable" in client.get("/assets/index-1a2b.js").headers["cache-control"]


@pytest.mark.parametrize("path", ["/assets/../index.html", "/assets/%2e%2e/%2e%2e/app.py", "/assets/nothing.js"])
def test_no_path_leaves_the_folder(built: Path, client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 or answer.text == "<!doctype html>the page"


def test_without_a_page_the_server_says_so(client: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(page, "FOLDER", tmp_path)
    assert "The page was not built" in client.get("/").text


def test_a_first_visit_is_small() -> None:
    index = (page.FOLDER / "index.html").read_text()
    loaded = [page.FOLDER / name.lstrip("/") for name in re.findall(r'(?:src|href)="(/[^"]+)"', index)]
    assert len(loaded) >= 3
    assert sum(len(gzip.compress(path.read_bytes(), 6)) for path in loaded) <= MOST_BYTES


def test_the_description_that_the_client_is_made_from_is_this_apis() -> None:
    spec = importlib.util.spec_from_file_location("generate_openapi", WEB / "generate_openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text() == module.text(), "run: python web/generate_openapi.py; python web/npm.py run api"
