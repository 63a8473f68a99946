"""Logging in, what a viewer sees, and the settings."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from modelyard.domain.access import Permission, Role
from modelyard.domain.run import Experiment
from modelyard.store import Store

Make = Callable[..., Experiment]
PASSWORD = "correct horse battery"


@pytest.fixture
def server_options(store: Store) -> tuple[str, ...]:
    """A server that users log in to."""
    store.users.create("ann", PASSWORD, Role.ADMIN, actor="root")
    store.users.create("vic", PASSWORD, Role.VIEWER, actor="root")
    return ("--auth",)


def _log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def test_one_logs_in_steers_and_logs_out(page: Page, make: Make, store: Store) -> None:
    made = make()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    _log_in(page, "ann", "wrong password")
    expect(page.get_by_role("alert")).to_contain_text("no user with that name and password")
    _log_in(page, "ann")
    expect(page.get_by_role("status")).to_have_text("live")
    page.get_by_role("link", name="rates", exact=True).click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("row").filter(has_text="rates-1")).to_contain_text("stopped")
    assert {event.actor for event in store.events.read(experiment_id=made.id)} >= {"ann"}
    page.reload()
    expect(page.get_by_role("row").filter(has_text="rates-1")).to_contain_text("stopped")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_viewer_looks_and_cannot_steer(page: Page, make: Make) -> None:
    make()
    _log_in(page, "vic")
    page.get_by_role("link", name="rates", exact=True).click()
    expect(page.get_by_text("you may look, and not steer")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()
    expect(page.get_by_role("button", name="Delete")).to_be_hidden()
    page.get_by_role("link", name="Queue").click()
    expect(page.get_by_role("button", name="Move rates-2 up")).to_be_disabled()
    expect(page.get_by_role("listitem").filter(has_text="rates-2")).to_have_attribute("draggable", "false")
    page.get_by_role("link", name="Storage").click()
    expect(page.get_by_role("button", name="What would go?")).to_be_disabled()
    page.get_by_role("link", name="Activity").click()
    page.get_by_label("Show").select_option("users, tokens and secrets")
    expect(page.get_by_role("listitem").filter(has_text="vic logged in")).to_be_visible()
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_role("heading", name="Your password")).to_be_visible()
    expect(page.get_by_role("heading", name="Users")).to_be_hidden()


def test_a_login_that_is_over_asks_again(page: Page, make: Make, store: Store) -> None:
    made = make()
    _log_in(page, "vic")
    expect(page.get_by_role("link", name="rates", exact=True)).to_be_visible()
    store.users.change("vic", password="another password", actor="ann")
    store.experiments.delete(made.id, actor="ann")  # whose event makes the page read anew
    expect(page.get_by_role("heading", name="Log in")).to_be_visible(timeout=30_000)
    _log_in(page, "vic", "another password")
    expect(page.get_by_text("No experiments yet")).to_be_visible()


def test_users_are_added_changed_and_deleted(page: Page, store: Store) -> None:
    _log_in(page, "ann")
    page.get_by_role("link", name="Settings").click()
    users = page.get_by_role("region", name="Users")
    form = users.get_by_role("form", name="Add a user")
    form.get_by_label("Name").fill("bob")
    form.get_by_label("Password").fill("short")
    form.get_by_role("button", name="Add user").click()
    expect(users.get_by_role("alert")).to_contain_text("use at least 10")
    form.get_by_label("Password").fill(PASSWORD)
    form.get_by_label("Role").select_option("viewer")
    form.get_by_role("button", name="Add user").click()
    expect(users.get_by_role("row").filter(has_text="bob")).to_be_visible()
    users.get_by_label("Role of bob").select_option("editor")
    expect(users.get_by_label("Role of bob")).to_have_value("editor")
    page.wait_for_function("() => !document.querySelector('[role=alert]')")
    assert [(one.name, one.role) for one in store.users.list()][1] == ("bob", Role.EDITOR)
    row = users.get_by_role("row").filter(has_text="bob")
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete user bob").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(row).to_be_hidden()
    assert [one.name for one in store.users.list()] == ["ann", "vic"]


def test_tokens_are_shown_once_and_revoked(page: Page, store: Store) -> None:
    _log_in(page, "ann")
    page.get_by_role("link", name="Settings").click()
    tokens = page.get_by_role("region", name="Tokens")
    tokens.get_by_label("Token name").fill("ci")
    tokens.get_by_label("write").check()
    tokens.get_by_label("Valid for").select_option("for ever")
    tokens.get_by_role("button", name="Make token").click()
    secret = tokens.get_by_role("status").locator("code").text_content()
    assert secret is not None
    found = store.credentials.by_token(secret)
    assert found is not None
    assert found.permissions == {Permission.READ, Permission.WRITE}
    (made,) = store.credentials.tokens()
    assert made.expires_at is None
    tokens.get_by_role("button", name="Done").click()
    expect(page.get_by_text(secret)).to_be_hidden()
    tokens.get_by_role("button", name="Revoke").click()
    expect(tokens.get_by_role("row")).to_have_count(0)
    assert store.credentials.by_token(secret) is None


def test_secrets_are_set_and_never_come_back(page: Page, store: Store) -> None:
    seen: list[str] = []
    page.on("response", lambda answer: seen.append(answer.url))
    _log_in(page, "ann")
    page.get_by_role("link", name="Settings").click()
    secrets = page.get_by_role("region", name="Secrets")
    form = secrets.get_by_role("form", name="Set a secret")
    form.get_by_label("Secret name").fill("PATH")
    form.get_by_label("Secret value").fill("hf_hidden")
    form.get_by_role("button", name="Set secret").click()
    expect(secrets.get_by_role("alert")).to_contain_text("decides how processes start")
    form.get_by_label("Secret name").fill("HF_TOKEN")
    form.get_by_role("button", name="Set secret").click()
    row = secrets.get_by_role("row").filter(has_text="HF_TOKEN")
    expect(row).to_contain_text("ann")
    assert store.vault.environment() == {"HF_TOKEN": "hf_hidden"}
    assert "hf_hidden" not in json.dumps(seen) + page.content()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete secret HF_TOKEN").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(row).to_be_hidden()
    assert store.vault.environment() == {}


def test_ones_own_password_is_changed(page: Page, store: Store) -> None:
    _log_in(page, "vic")
    page.get_by_role("link", name="Settings").click()
    form = page.get_by_role("form", name="Change your password")
    form.get_by_label("Old password").fill("wrong")
    form.get_by_label("New password").fill("another password")
    form.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("alert")).to_contain_text("that is not your password")
    form.get_by_label("Old password").fill(PASSWORD)
    form.get_by_role("button", name="Change password").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert store.users.check("vic", "another password") is not None


def test_alerts_are_added_tried_and_removed(page: Page, store: Store) -> None:
    _log_in(page, "ann")
    page.get_by_role("link", name="Settings").click()
    alerts = page.get_by_role("region", name="Alerts")
    form = alerts.get_by_role("form", name="Add an alert")
    form.get_by_label("Alert name").fill("bad ones")
    form.get_by_label("Which runs").fill("state =")
    form.get_by_label("Address").fill("http://127.0.0.1:1/hook")
    form.get_by_role("button", name="Add alert").click()
    expect(alerts.get_by_role("alert")).to_contain_text("where")
    form.get_by_label("Which runs").fill("reason = non_finite_loss")
    form.get_by_role("button", name="Send a test").click()
    expect(alerts.get_by_role("alert")).to_contain_text("could not be reached")
    form.get_by_role("button", name="Add alert").click()
    row = alerts.get_by_role("row").filter(has_text="bad ones")
    expect(row).to_contain_text("http://127.0.0.1:1/hook")
    form.get_by_label("Send to").select_option("e-mail")
    form.get_by_label("Alert name").fill("by mail")
    form.get_by_label("Address").fill("bob@example.org")
    form.get_by_role("button", name="Add alert").click()
    expect(alerts.get_by_role("row").filter(has_text="by mail")).to_contain_text("bob@example.org")
    kept = [one.rule for one in store.alerts.rules()]
    assert [(rule.name, rule.where, rule.to.kind) for rule in kept] == [
        ("bad ones", "reason = non_finite_loss", "webhook"),
        ("by mail", "reason = non_finite_loss", "email"),
    ]
    row.get_by_role("button", name="Remove").click()
    expect(row).to_be_hidden()
    assert len(store.alerts.rules()) == 1
