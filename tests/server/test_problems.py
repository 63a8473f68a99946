"""Every error reaches a client as a problem document with the text that the command line prints."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from modelyard.domain import errors
from modelyard.domain.errors import ModelyardError
from modelyard.server.problems import kind_of, status_of


def _tree(kind: type[ModelyardError]) -> Iterator[type[ModelyardError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


EXPECTED = {
    "UserError": (422, "user"),
    "ConfigError": (422, "config"),
    "DataError": (422, "data"),
    "MissingExtraError": (422, "missing-extra"),
    "NotFoundError": (404, "not-found"),
    "ConflictError": (409, "conflict"),
    "FencedError": (409, "fenced"),
    "RunFailedError": (409, "run-failed"),
    "SearchFailedError": (409, "search-failed"),
    "StoreError": (503, "store"),
    "SchemaVersionError": (503, "schema-version"),
    "StorageFullError": (507, "storage-full"),
    "CorruptBlobError": (500, "corrupt-blob"),
    "TrainingError": (409, "training"),
    "NonFiniteLossError": (409, "non-finite-loss"),
    "OutOfMemoryError": (409, "out-of-memory"),
    "ModelyardError": (500, "modelyard"),
}


def test_every_error_has_a_status_and_a_kind() -> None:
    ours = {kind for kind in _tree(ModelyardError) if kind.__module__ == errors.__name__}
    found = {}
    for kind in ours:
        error = kind.__new__(kind)
        found[kind.__name__] = (int(status_of(error)), kind_of(error))
    assert found == EXPECTED


@pytest.mark.parametrize(
    ("path", "status", "kind", "said"),
    [
        ("/api/v1/runs/nobody", 404, "not-found", "no run 'nobody'"),
        ("/api/v1/runs?filter=state", 422, "user", "filter, column"),
        ("/api/v1/runs?limit=0", 422, "invalid-request", "query.limit"),
        ("/api/v1/nothing", 404, "not-found", "there is nothing at /api/v1/nothing"),
        ("/api/v1/stream?lines=abc", 422, "user", "'abc' is not of the form lines: RUN,NUMBER"),
        ("/api/v1/stream?points=abc,x,loss", 422, "user", "'x' is not a whole number"),
    ],
)
def test_bad_requests_say_what_is_wrong(client: TestClient, path: str, status: int, kind: str, said: str) -> None:
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:modelyard:problem:{kind}"
    assert document["status"] == status
    assert said in document["detail"]


def test_a_wrong_field_is_named(client: TestClient) -> None:
    answer = client.post("/api/v1/operations", json={"targets": ["a"], "op": {"kind": "priority", "priority": 1000}})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["body.op.priority.priority"]


def test_a_method_that_is_not_there_says_which_are(client: TestClient) -> None:
    answer = client.put("/api/v1/server")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


def test_a_body_that_is_too_large_is_refused(client: TestClient) -> None:
    answer = client.post("/api/v1/experiments/validate", json={"text": "x" * (9 << 20)})
    assert answer.status_code == 413
