"""Pages of others cannot reach a server without users."""

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.run import Experiment
from modelyard.server.app import create_app
from modelyard.server.context import Context
from modelyard.server.guard import Guard


def _client(context: Context, host: str = "127.0.0.1:8765", *, demands_login: bool = False) -> TestClient:
    app = Guard(create_app(context, actor="ann"), demands_login=demands_login)
    return TestClient(app, base_url=f"http://{host}")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8765", "localhost:1", "LOCALHOST", "[::1]:8765"])
def test_this_machine_may(context: Context, host: str) -> None:
    answer = _client(context).get("/api/v1/server", headers={"host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "localhost.evil:80", ""]
)
def test_a_name_that_was_made_to_point_here_may_not(context: Context, host: str) -> None:
    answer = _client(context).get("/api/v1/server", headers={"host": host})
    assert answer.status_code == 403
    assert "modelyard up --auth" in answer.json()["detail"]


def test_any_name_may_where_users_log_in(context: Context) -> None:
    assert _client(context, "gpu.lab:80", demands_login=True).get("/api/v1/server").status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8765", 200),
        ("http://127.0.0.1:9999", 403),
        ("http://evil.example", 403),
        ("null", 403),
        (None, 200),
    ],
)
def test_only_its_own_pages_change_anything(
    context: Context, queued: Experiment, origin: str | None, status: int
) -> None:
    headers = {} if origin is None else {"origin": origin}
    assert _client(context).delete("/api/v1/experiments/digits", headers=headers).status_code == status
    assert _client(context).get("/api/v1/experiments", headers=headers).status_code == 200
