"""Every route, asked by nobody, with what is wrong, what is over, and what may not."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient

from modelyard.domain.access import Permission, Role
from modelyard.domain.run import Experiment
from modelyard.server import messages
from modelyard.server.app import create_app, openapi_document
from modelyard.server.attempts import FREE, FREE_FOR_ADDRESS, LONGEST_WAIT, REMEMBERED, Attempts
from modelyard.server.context import Context
from modelyard.server.live import LiveFeed
from modelyard.store import Store, clock

PASSWORD = "correct horse battery"
ROUTES = [
    (method.upper(), path)
    for path, item in openapi_document()["paths"].items()
    for method in item
    if path != "/api/v1/session"
]
CHANGES = [route for route in ROUTES if route[0] != "GET"]
OWN = ("/api/v1/tokens", "/api/v1/account")
ADMINS = ("/api/v1/users", "/api/v1/secrets", "/api/v1/alerts/rules", "/api/v1/alerts/test")


@pytest.fixture
def context(store: Store) -> Context:
    return Context(store=store, live=LiveFeed(store), demands_login=True)


@pytest.fixture
def client(context: Context) -> Iterator[TestClient]:
    with TestClient(create_app(context, actor="nobody")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def people(store: Store) -> None:
    store.users.create("ann", PASSWORD, Role.ADMIN, actor="root")
    store.users.create("eva", PASSWORD, Role.EDITOR, actor="root")
    store.users.create("vic", PASSWORD, Role.VIEWER, actor="root")


@pytest.fixture
def token(store: Store) -> Callable[..., dict[str, str]]:
    """Make a token; return the header that shows it."""

    def make(user: str, scopes: list[Permission] | None = None, **options: Any) -> dict[str, str]:
        name = f"t{len(store.credentials.tokens())}"
        wanted = list(Permission) if scopes is None else scopes
        _, secret = store.credentials.create_token(user, name, wanted, actor=user, **options)
        return {"authorization": f"Bearer {secret}"}

    return make


def _login(client: TestClient, name: str, password: str = PASSWORD) -> httpx.Response:
    return client.post("/api/v1/session", json={"name": name, "password": password})


def _at(path: str) -> str:
    return re.sub(r"{\w+}", "nothing", path)


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_and_what_is_wrong_or_over_reaches_no_route(
    client: TestClient, token: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    over = token("ann", expires_at=datetime.now(UTC) + timedelta(minutes=1))
    later = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    wrong = (
        {},
        over,
        {"authorization": "Bearer nonsense"},
        {"authorization": "Bearer "},
        {"authorization": "Basic YW5uOng="},
        {"cookie": "modelyard_login=nonsense"},
    )
    for headers in wrong:
        answer = client.request(method, _at(path), headers=headers)
        assert answer.status_code == 401, (headers, answer.text)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["type"] == "urn:modelyard:problem:unauthorized"


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_viewer_changes_nothing(
    client: TestClient, token: Callable[..., dict[str, str]], method: str, path: str
) -> None:
    for headers in (token("vic"), token("ann", [Permission.READ])):
        answer = client.request(method, _at(path), headers=headers, json={})
        if path.startswith(OWN):
            assert answer.status_code in {403, 404, 422}, answer.text
        else:
            assert answer.status_code == 403, answer.text
            assert "'write'" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), [one for one in ROUTES if one[1].startswith(ADMINS)])
def test_what_is_for_admins_is_for_no_editor(
    client: TestClient, token: Callable[..., dict[str, str]], method: str, path: str
) -> None:
    for headers in (token("eva"), token("ann", [Permission.READ, Permission.WRITE])):
        answer = client.request(method, _at(path), headers=headers, json={})
        assert answer.status_code == 403, answer.text
        assert "'admin'" in answer.json()["detail"]


def test_a_viewer_reads(client: TestClient, token: Callable[..., dict[str, str]], queued: Experiment) -> None:
    answer = client.get("/api/v1/experiments", headers=token("vic"))
    assert [one["name"] for one in answer.json()] == [queued.name]


def test_a_viewer_reads_no_folders(client: TestClient, token: Callable[..., dict[str, str]]) -> None:
    for path in ("folders?path=/", "data/folder?path=/", "inspections/x"):
        assert client.get(f"/api/v1/{path}", headers=token("vic")).status_code == 403
        assert client.get(f"/api/v1/{path}", headers=token("eva")).status_code in {404, 422}


def test_who_changed_something_is_on_record(
    client: TestClient, token: Callable[..., dict[str, str]], queued: Experiment, store: Store
) -> None:
    assert client.delete(f"/api/v1/experiments/{queued.id}", headers=token("eva")).status_code == 200
    assert store.events.read()[-1].actor == "eva"


def test_a_browser_logs_in_and_out(client: TestClient, queued: Experiment) -> None:
    assert client.get("/api/v1/session").json() == {"demanded": True, "name": None, "permissions": [], "csrf": None}
    answer = _login(client, "eva")
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    csrf = answer.json()["csrf"]
    assert client.get("/api/v1/session").json() == {
        "demanded": True,
        "name": "eva",
        "permissions": ["read", "write"],
        "csrf": csrf,
    }
    assert client.get("/api/v1/experiments").status_code == 200
    forged = client.delete(f"/api/v1/experiments/{queued.id}")
    assert (forged.status_code, "x-csrf-token" in forged.json()["detail"]) == (403, True)
    wrong = client.delete(
        f"/api/v1/experiments/{queued.id}", headers={"x-csrf-token": (csrf[:-1] + "ä").encode("latin-1")}
    )
    assert wrong.status_code == 403
    assert client.delete(f"/api/v1/experiments/{queued.id}", headers={"x-csrf-token": csrf}).status_code == 200
    assert client.delete("/api/v1/session").status_code == 204
    assert client.get("/api/v1/experiments").status_code == 401


def test_guesses_are_slowed_down_and_tell_nothing(client: TestClient) -> None:
    texts = set()
    for name in ("ann", "somebody"):
        for _ in range(FREE):
            answer = _login(client, name, "wrong password")
            assert answer.status_code == 401
            texts.add(answer.text)
        refused = _login(client, name)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert "try again in" in refused.json()["detail"]
    assert len(texts) == 1
    assert _login(client, "eva").status_code == 200


def test_waits_double_end_and_are_forgotten() -> None:
    now = 0.0
    attempts = Attempts(lambda: now)
    waits = []
    for _ in range(FREE + 12):
        attempts.failed("1.2.3.4", "ann")
        waits.append(attempts.wait("1.2.3.4", "ANN"))
    assert waits[: FREE + 2] == [0] * (FREE - 1) + [1, 2, 4]
    assert waits[-1] == LONGEST_WAIT
    assert attempts.wait("5.6.7.8", "ann") == 0
    now = LONGEST_WAIT
    assert attempts.wait("1.2.3.4", "ann") == 0
    attempts.succeeded("1.2.3.4", "ann")
    attempts.failed("1.2.3.4", "ann")
    assert attempts.wait("1.2.3.4", "ann") == 0
    for number in range(FREE_FOR_ADDRESS):
        attempts.failed("1.2.3.4", f"name {number}")
    assert attempts.wait("1.2.3.4", "yet another") > 0
    for number in range(REMEMBERED):
        attempts.failed(f"address {number}", "x")
    assert attempts.wait("1.2.3.4", "yet another") == 0


def test_a_token_is_made_by_who_logged_in(
    client: TestClient, token: Callable[..., dict[str, str]], store: Store
) -> None:
    wanted = {"name": "ci", "scopes": ["read"], "days": 7}
    assert client.post("/api/v1/tokens", headers=token("eva"), json=wanted).status_code == 403
    csrf = {"x-csrf-token": _login(client, "eva").json()["csrf"]}
    made = client.post("/api/v1/tokens", headers=csrf, json=wanted)
    assert made.status_code == 201
    shown = {"authorization": f"Bearer {made.json()['secret']}"}
    assert TestClient(client.app).get("/api/v1/runs", headers=shown).status_code == 200
    listed = client.get("/api/v1/tokens").json()
    assert {one["name"] for one in listed} == {"t0", "ci"}
    assert made.json()["secret"] not in str(listed)
    too_much = client.post("/api/v1/tokens", headers=csrf, json={**wanted, "name": "more", "scopes": ["admin"]})
    assert too_much.status_code == 403
    assert client.delete(f"/api/v1/tokens/{made.json()['token']['id']}", headers=csrf).status_code == 204
    (other,) = (one.id for one in store.credentials.tokens() if one.name == "t0")
    token("ann")
    (foreign,) = (one.id for one in store.credentials.tokens() if one.user == "ann")
    assert client.delete(f"/api/v1/tokens/{foreign}", headers=csrf).status_code == 404
    assert client.delete(f"/api/v1/tokens/{other}", headers=csrf).status_code == 204


def test_admins_make_change_and_delete_users(client: TestClient, token: Callable[..., dict[str, str]]) -> None:
    admin = token("ann")
    made = client.post("/api/v1/users", headers=admin, json={"name": "bob", "password": PASSWORD, "role": "viewer"})
    assert made.status_code == 201
    assert "password" not in made.json()
    changed = client.patch("/api/v1/users/bob", headers=admin, json={"role": "editor", "password": "a new password"})
    assert changed.json()["role"] == "editor"
    assert _login(client, "bob", "a new password").status_code == 200
    client.cookies.clear()
    assert client.delete("/api/v1/users/bob", headers=admin).status_code == 204
    assert [one["name"] for one in client.get("/api/v1/users", headers=admin).json()] == ["ann", "eva", "vic"]
    last = client.delete("/api/v1/users/ann", headers=admin)
    assert (last.status_code, "last admin" in last.json()["detail"]) == (409, True)


def test_ones_own_password(client: TestClient) -> None:
    csrf = {"x-csrf-token": _login(client, "vic").json()["csrf"]}
    wrong = client.post("/api/v1/account/password", headers=csrf, json={"old": "x", "new": "a new password"})
    assert (wrong.status_code, wrong.json()["detail"]) == (422, "old: that is not your password")
    done = client.post("/api/v1/account/password", headers=csrf, json={"old": PASSWORD, "new": "a new password"})
    assert done.status_code == 204
    assert client.get("/api/v1/runs").status_code == 401
    assert _login(client, "vic", "a new password").status_code == 200


def test_no_answer_has_a_secret(client: TestClient, token: Callable[..., dict[str, str]]) -> None:
    admin = token("ann")
    assert client.put("/api/v1/secrets/HF_TOKEN", headers=admin, json={"value": "hf_hidden"}).status_code == 204
    too_long = client.put("/api/v1/secrets/HF_TOKEN", headers=admin, json={"value": "hidden" * 2000})
    unknown = client.put("/api/v1/secrets/HF_TOKEN", headers=admin, json={"value": "ok", "hidden": "hidden"})
    bad_name = client.put("/api/v1/secrets/PATH", headers=admin, json={"value": "hf_hidden"})
    short = client.post("/api/v1/users", headers=admin, json={"name": "bob", "password": "hidden"})
    assert [one.status_code for one in (too_long, unknown, bad_name, short)] == [422] * 4
    answers = [too_long, bad_name, short]
    answers += [client.get(f"/api/v1/{path}", headers=admin) for path in ("secrets", "events", "users", "tokens")]
    assert all(one.status_code in {200, 422} for one in answers)
    assert [one.text for one in answers if "hidden" in one.text] == []
    assert client.delete("/api/v1/secrets/HF_TOKEN", headers=admin).status_code == 204


def test_a_stream_ends_when_its_token_is_revoked(
    served: httpx.Client, token: Callable[..., dict[str, str]], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "VALID_SECONDS", 0.0)
    headers = token("vic")
    with served.stream("GET", "/api/v1/stream", headers=headers) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: hello"
        (found,) = store.credentials.tokens()
        store.credentials.revoke_token(found.id, actor="ann")
        store.users.create("bob", PASSWORD, Role.VIEWER, actor="ann")
        assert "user.created" not in "".join(lines)
