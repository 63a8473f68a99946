"""``modelyard users``, ``tokens`` and ``secrets``."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from modelyard.domain.access import Permission, Role
from modelyard.store import Store

PASSWORD = "correct horse battery"


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Answer hidden questions with a text."""

    def answer(text: str) -> None:
        def prompt(*_: str, hide_input: bool, **__: Any) -> str:
            assert hide_input
            return text

        monkeypatch.setattr("typer.prompt", prompt)

    return answer


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Put a text into standard input."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.mark.covers("users list", "users list --json", "users add", "users add --role", "users add --json")
def test_users_are_added_and_listed(cli: Any, store: Store, typed: Callable[[str], None]) -> None:
    assert "modelyard users add NAME" in cli("users", "list").out
    typed(PASSWORD)
    assert cli("users", "add", "ann", "--role", "admin").out == "ann is an admin\n"
    made = cli("users", "add", "vic", "--role", "viewer", "--json").json
    assert (made["name"], made["role"]) == ("vic", "viewer")
    assert [one["name"] for one in cli("users", "list", "--json").json] == ["ann", "vic"]
    assert "viewer" in cli("users", "list").out
    found = store.users.check("ann", PASSWORD)
    assert found is not None
    assert found.role is Role.ADMIN
    assert "there is a user 'ann' already" in cli.fails(4, "users", "add", "ann")
    typed("short")
    assert "use at least 10" in cli.fails(2, "users", "add", "bob")


@pytest.mark.covers(
    "users add --password-stdin",
    "users change",
    "users change --role",
    "users change --password",
    "users change --password-stdin",
    "users change --json",
    "users delete",
    "users delete --yes",
    "users delete --json",
)
def test_users_are_changed_and_deleted(
    cli: Any,
    store: Store,
    typed: Callable[[str], None],
    piped: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store.users.create("ann", PASSWORD, Role.ADMIN, actor="root")
    piped("from a pipe\n")
    cli("users", "add", "bob", "--password-stdin")
    assert store.users.check("bob", "from a pipe") is not None
    assert "nothing to change" in cli.fails(2, "users", "change", "bob")
    assert cli("users", "change", "bob", "--role", "viewer").out == "bob is a viewer\n"
    typed("asked for it")
    cli("users", "change", "bob", "--password")
    assert store.users.check("bob", "asked for it") is not None
    piped("from a pipe")
    assert cli("users", "change", "bob", "--password-stdin", "--json").json["role"] == "viewer"
    assert "last admin" in cli.fails(4, "users", "delete", "ann", "--yes")
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert "nothing was changed" in cli("users", "delete", "bob", expect=1).err
    assert cli("users", "delete", "bob", "--yes").out == "deleted bob\n"
    store.users.create("eva", PASSWORD, Role.EDITOR, actor="root")
    assert cli("users", "delete", "eva", "--json").json == {"deleted": "eva"}
    assert [user.name for user in store.users.list()] == ["ann"]
    cli.fails(3, "users", "delete", "eva", "--yes")


@pytest.mark.covers(
    "tokens list",
    "tokens list --json",
    "tokens create",
    "tokens create --scope",
    "tokens create --days",
    "tokens create --json",
    "tokens revoke",
    "tokens revoke --json",
)
def test_tokens_are_made_shown_once_and_revoked(cli: Any, store: Store) -> None:
    store.users.create("ann", PASSWORD, Role.ADMIN, actor="root")
    assert "modelyard tokens create" in cli("tokens", "list").out
    cli.fails(3, "tokens", "create", "nobody", "ci")
    secret = cli("tokens", "create", "ann", "ci").out.strip()
    found = store.credentials.by_token(secret)
    assert found is not None
    assert found.permissions == {Permission.READ}
    made = cli("tokens", "create", "ann", "deploy", "--scope", "read", "--scope", "write", "--days", "0", "--json").json
    assert made["token"]["scopes"] == ["read", "write"]
    assert made["token"]["expires_at"] is None
    listed = cli("tokens", "list")
    assert "ci" in listed.out
    assert secret not in listed.out
    first = cli("tokens", "list", "--json").json[0]
    assert (first["name"], first["expires_at"] is None) == ("ci", False)
    assert cli("tokens", "revoke", first["id"]).out == f"revoked {first['id']}\n"
    assert store.credentials.by_token(secret) is None
    assert cli("tokens", "revoke", made["token"]["id"], "--json").json == {"revoked": made["token"]["id"]}
    cli.fails(3, "tokens", "revoke", first["id"])


@pytest.mark.covers(
    "secrets list",
    "secrets list --json",
    "secrets set",
    "secrets set --stdin",
    "secrets set --json",
    "secrets delete",
    "secrets delete --json",
)
def test_secrets_are_set_and_never_shown(
    cli: Any, store: Store, typed: Callable[[str], None], piped: Callable[[str], None]
) -> None:
    assert "modelyard secrets set HF_TOKEN" in cli("secrets", "list").out
    typed("hf_hidden")
    said = [cli("secrets", "set", "HF_TOKEN").out]
    assert store.vault.environment() == {"HF_TOKEN": "hf_hidden"}
    piped("hf_piped\n")
    said.append(cli("secrets", "set", "WANDB_API_KEY", "--stdin", "--json").out)
    assert store.vault.environment()["WANDB_API_KEY"] == "hf_piped"
    said += [cli("secrets", "list").out, cli("secrets", "list", "--json").out]
    assert not any("hidden" in text or "piped" in text for text in said)
    assert "decides how processes start" in cli.fails(2, "secrets", "set", "PATH")
    assert cli("secrets", "delete", "HF_TOKEN").out == "deleted HF_TOKEN\n"
    assert cli("secrets", "delete", "WANDB_API_KEY", "--json").json == {"deleted": "WANDB_API_KEY"}
    cli.fails(3, "secrets", "delete", "HF_TOKEN")
