"""Users, tokens, logins and secrets: only digests and ciphertext are kept, and what is over is of no use."""

import os
import stat
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from modelyard.domain.access import PERMISSIONS, Permission, Role
from modelyard.domain.errors import ConflictError, NotFoundError, StoreError, UserError
from modelyard.domain.events import SecretChanged, TokenCreated, UserChanged
from modelyard.store import Store, clock, schema, schema_access, users

PASSWORD = "correct horse battery"


@pytest.fixture
def ann(store):
    return store.users.create("ann", PASSWORD, Role.ADMIN, actor="root")


def _everything(store: Store) -> str:
    with store.database.read() as connection:
        tables = (
            schema_access.users,
            schema_access.tokens,
            schema_access.logins,
            schema_access.secrets,
            schema.events,
        )
        return "".join(repr(connection.execute(select(table)).all()) for table in tables)


def test_a_user_is_found_by_the_right_password_alone(store, ann):
    assert store.users.check("ann", PASSWORD) == ann
    assert store.users.check("ann", PASSWORD + " ") is None
    assert store.users.check("ann", "") is None
    assert store.users.check("bob", PASSWORD) is None
    assert store.users.check("ANN", PASSWORD) is None


def test_nothing_that_was_given_is_kept_as_it_is(store, ann):
    _, token = store.credentials.create_token("ann", "ci", [Permission.READ], actor="ann")
    login = store.credentials.log_in(ann.id)
    store.vault.set("HF_TOKEN", "hf_very_secret", actor="ann")
    kept = _everything(store)
    assert [one for one in (PASSWORD, token, login, "hf_very_secret") if one in kept] == []
    assert token.startswith("modelyard_")


def test_guessing_costs_as_much_as_owasp_recommends():
    assert users._NOBODY.startswith("scrypt$32768$8$3$")  # made when the module was loaded, at its real cost


def test_two_of_the_same_password_are_not_seen_to_be(store, ann):
    store.users.create("bob", PASSWORD, Role.VIEWER, actor="ann")
    with store.database.read() as connection:
        hashes = connection.execute(select(schema_access.users.c.password)).scalars().all()
    assert len(set(hashes)) == 2


@pytest.mark.parametrize("name", ["", " ann", "a" * 65, "ann\n", "../ann", "än"])
def test_bad_names_are_refused(store, name):
    with pytest.raises(UserError, match="name:"):
        store.users.create(name, PASSWORD, Role.ADMIN, actor="root")


@pytest.mark.parametrize("password", ["", "short", "x" * 1001])
def test_bad_passwords_are_refused_and_not_repeated(store, password):
    with pytest.raises(UserError, match="password: it has") as caught:
        store.users.create("ann", password, Role.ADMIN, actor="root")
    assert password == "" or password not in str(caught.value)
    assert store.users.list() == []


def test_a_name_is_taken_once(store, ann):
    with pytest.raises(ConflictError, match="'ann' already"):
        store.users.create("ann", PASSWORD, Role.VIEWER, actor="root")


def test_somebody_stays_who_may_make_users(store, ann):
    for change in (
        lambda: store.users.delete("ann", actor="ann"),
        lambda: store.users.change("ann", role=Role.EDITOR, actor="ann"),
    ):
        with pytest.raises(ConflictError, match="last admin"):
            change()
    assert store.users.list() == [ann]
    store.users.create("bob", PASSWORD, Role.ADMIN, actor="ann")
    store.users.delete("ann", actor="bob")
    assert [user.name for user in store.users.list()] == ["bob"]
    with pytest.raises(NotFoundError, match="'ann'"):
        store.users.change("ann", role=Role.VIEWER, actor="bob")


def test_a_changed_user_has_to_log_in_anew(store, ann):
    login = store.credentials.log_in(ann.id)
    assert store.credentials.by_login(login).permissions == PERMISSIONS[Role.ADMIN]
    store.users.change("ann", password="another password", actor="ann")
    assert store.credentials.by_login(login) is None
    assert store.users.check("ann", PASSWORD) is None
    assert store.users.check("ann", "another password") is not None
    assert store.events.read()[-1].payload == UserChanged(name="ann", role=Role.ADMIN, password=True)


def test_logins_end(store, ann, monkeypatch):
    login = store.credentials.log_in(ann.id)
    other = store.credentials.log_in(ann.id)
    store.credentials.log_out(login)
    store.credentials.log_out(login)
    assert store.credentials.by_login(login) is None
    assert store.credentials.by_login(other) is not None
    later = datetime.now(UTC) + timedelta(days=15)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert store.credentials.by_login(other) is None


def test_a_token_may_what_it_was_made_for_and_never_more_than_its_user(store, ann):
    store.users.create("eva", PASSWORD, Role.EDITOR, actor="ann")
    _, read = store.credentials.create_token("eva", "look", [Permission.READ], actor="eva")
    _, all_of_it = store.credentials.create_token("eva", "all", list(Permission), actor="eva")
    assert store.credentials.by_token(read).permissions == {Permission.READ}
    assert store.credentials.by_token(all_of_it).permissions == {Permission.READ, Permission.WRITE}
    store.users.change("eva", role=Role.VIEWER, actor="ann")
    assert store.credentials.by_token(all_of_it).permissions == {Permission.READ}
    store.users.delete("eva", actor="ann")
    assert store.credentials.by_token(read) is None
    assert store.credentials.by_token("") is None


def test_a_token_expires_and_tells_when_it_was_used(store, ann, monkeypatch):
    start = datetime.now(UTC)
    made, secret = store.credentials.create_token(
        "ann", "ci", [Permission.READ], expires_at=start + timedelta(days=1), actor="ann"
    )
    assert made.last_used_at is None
    for minutes, seen in ((1, 1), (1.5, 1), (3, 3)):
        now = start + timedelta(minutes=minutes)
        monkeypatch.setattr(clock, "now", lambda now=now: now)
        assert store.credentials.by_token(secret) is not None
        (found,) = store.credentials.tokens("ann")
        assert found.last_used_at == start + timedelta(minutes=seen)
    monkeypatch.setattr(clock, "now", lambda: start + timedelta(days=1))
    assert store.credentials.by_token(secret) is None
    with pytest.raises(UserError, match="expires_at"):
        store.credentials.create_token("ann", "old", [Permission.READ], expires_at=start, actor="ann")


def test_tokens_are_revoked_by_who_may(store, ann):
    made, secret = store.credentials.create_token("ann", "ci", [Permission.READ], actor="ann")
    with pytest.raises(ConflictError, match="'ci' already"):
        store.credentials.create_token("ann", "ci", [Permission.READ], actor="ann")
    with pytest.raises(UserError, match="scopes"):
        store.credentials.create_token("ann", "none", [], actor="ann")
    with pytest.raises(NotFoundError):
        store.credentials.revoke_token(made.id, user="bob", actor="bob")
    store.credentials.revoke_token(made.id, user="ann", actor="ann")
    assert store.credentials.by_token(secret) is None
    assert store.credentials.tokens() == []
    with pytest.raises(NotFoundError):
        store.credentials.revoke_token(made.id, actor="ann")
    created = [one.payload for one in store.events.read() if isinstance(one.payload, TokenCreated)]
    assert [(one.user, one.name, one.scopes) for one in created] == [("ann", "ci", [Permission.READ])]


def test_secrets_are_for_children_alone(store, home):
    assert store.vault.environment() == {}
    assert not (home / "secrets.key").exists()
    store.vault.set("HF_TOKEN", "hf_1", actor="ann")
    store.vault.set("HF_TOKEN", "hf_2", actor="bob")
    assert store.vault.environment() == {"HF_TOKEN": "hf_2"}
    assert store.child_variables()["HF_TOKEN"] == "hf_2"
    assert stat.S_IMODE(os.stat(home / "secrets.key").st_mode) == 0o600
    (found,) = store.vault.list()
    assert (found.name, found.changed_by) == ("HF_TOKEN", "bob")
    assert "hf_2" not in repr(found)
    assert [one.payload for one in store.events.read()] == [SecretChanged(name="HF_TOKEN")] * 2
    store.vault.delete("HF_TOKEN", actor="bob")
    assert store.vault.environment() == {}
    with pytest.raises(NotFoundError):
        store.vault.delete("HF_TOKEN", actor="bob")


@pytest.mark.parametrize(
    "name", ["", "hf_token", "A B", "PATH", "LD_PRELOAD", "PYTHONPATH", "MODELYARD_HOME", "1A", "Ä"]
)
def test_a_secret_is_no_variable_that_decides_how_processes_start(store, name):
    with pytest.raises(UserError, match="name:"):
        store.vault.set(name, "x", actor="ann")


@pytest.mark.parametrize("value", ["", "a\0b", "x" * 10_001])
def test_bad_values_of_secrets_are_refused_and_not_repeated(store, value):
    with pytest.raises(UserError, match="value:") as caught:
        store.vault.set("HF_TOKEN", value, actor="ann")
    assert "xxx" not in str(caught.value)


def test_another_key_is_told(store, home):
    store.vault.set("HF_TOKEN", "hf_1", actor="ann")
    key = home / "secrets.key"
    key.write_text("nonsense")
    with pytest.raises(StoreError, match="holds no key"):
        store.vault.environment()
    key.unlink()
    with pytest.raises(StoreError, match="another key"):
        store.vault.environment()
