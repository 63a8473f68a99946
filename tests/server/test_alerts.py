"""Alerts: each run once, through restarts and refusals, and to nobody who should not get it."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient

from modelyard.domain.alerts import AlertRule, Delivery, Desktop, Email, Webhook
from modelyard.domain.control import Stop
from modelyard.domain.errors import NotFoundError
from modelyard.domain.run import Experiment
from modelyard.server import channels
from modelyard.server.alerting import PAUSES, AlertKeeper
from modelyard.server.channels import ChannelError, Message, send
from modelyard.store import Store, clock
from modelyard.store.alerts import Due

MESSAGE = Message(title="Modelyard: rule", text="a run failed", fields={"run": "digits-1"})


class Hook(ThreadingHTTPServer):
    """Somebody who wants to hear."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.heard: list[Any] = []
        self.status = 200
        self.url = f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(self.server.status)
        self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _stop(store: Store, name: str) -> None:
    store.runs.request(store.runs.get(name).id, Stop(), actor="ann")


def _rule(url: str, where: str = "state = stopped") -> AlertRule:
    return AlertRule(name="ended", where=where, to=Webhook(url=url))


def test_each_run_is_told_once(store: Store, queued: Experiment, hook: Hook) -> None:
    _stop(store, "digits-1")
    store.alerts.add(_rule(hook.url), actor="ann")
    keeper = AlertKeeper(store)
    keeper.look()
    assert hook.heard == []  # what was before the rule is no news
    _stop(store, "digits-2")
    for again in (keeper, keeper, AlertKeeper(store)):
        again.look()
    (heard,) = hook.heard
    assert heard["text"].startswith("Modelyard: ended: digits-2 is stopped: ann asked to stop (state = stopped)")
    assert heard["run"] == "digits-2"
    (alert,) = store.alerts.list()
    assert (alert.run, alert.delivery, alert.attempts, alert.problem) == ("digits-2", Delivery.SENT, 1, "")
    assert queued.name == "digits"


def test_a_metric_that_is_reached_is_told_while_the_run_trains(
    store: Store, queued: Experiment, hook: Hook, fake_supervisor: type[Any]
) -> None:
    del queued
    store.alerts.add(_rule(hook.url, "val_accuracy > 0.0 and optimizer.learning_rate < 0.015"), actor="ann")
    keeper = AlertKeeper(store)
    with fake_supervisor(store) as engine:
        engine.start()
        engine.poll()
        keeper.look()
    (heard,) = hook.heard
    assert heard["run"] == "digits-1"
    assert "val_accuracy" in heard["text"]


def test_what_does_not_arrive_is_tried_again_and_then_given_up(
    store: Store, queued: Experiment, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    del queued
    hook.status = 500
    store.alerts.add(_rule(hook.url), actor="ann")
    _stop(store, "digits-1")
    keeper, now = AlertKeeper(store), datetime.now(UTC)
    for pause in (0, *PAUSES):
        now += timedelta(seconds=pause + 1)
        monkeypatch.setattr(clock, "now", lambda now=now: now)
        keeper.look()
        keeper.look()
    assert len(hook.heard) == 1 + len(PAUSES)
    (alert,) = store.alerts.list()
    assert (alert.delivery, alert.problem) == (Delivery.FAILED, "it answered 500")
    now += timedelta(days=1)
    keeper.look()
    assert len(hook.heard) == 1 + len(PAUSES)


def test_what_was_not_sent_before_a_crash_is_sent_after_it(
    store: Store, queued: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    del queued
    sent: list[Due] = []
    store.alerts.add(_rule("http://127.0.0.1:1"), actor="ann")
    _stop(store, "digits-1")

    def die(_: Due) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        AlertKeeper(store, deliver=die).look()
    other = AlertKeeper(store, deliver=sent.append)
    other.look()
    assert sent == []  # the other one may still be at it
    later = datetime.now(UTC) + timedelta(minutes=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    other.look()
    assert [due.alert.run for due in sent] == ["digits-1"]


def test_the_thread_looks_by_itself(
    store: Store, queued: Experiment, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    del queued
    monkeypatch.setattr("modelyard.server.alerting.LOOK_SECONDS", 0.01)
    store.alerts.add(_rule(hook.url), actor="ann")
    with AlertKeeper(store):
        _stop(store, "digits-3")
        while not hook.heard:
            threading.Event().wait(0.01)
    assert hook.heard[0]["run"] == "digits-3"


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/", "could not be reached"),
        ("http://169.254.169.254/latest", "to which nothing is sent"),
        ("http://[fe80::1]/", "to which nothing is sent"),
        ("http://0.0.0.0/", "to which nothing is sent"),
        ("http://no.such.name.invalid/", "could not be reached"),
    ],
)
def test_where_nothing_is_sent(url: str, why: str) -> None:
    with pytest.raises(ChannelError, match=why):
        send(Webhook(url=url), MESSAGE, secrets={})


def test_redirections_are_not_followed(hook: Hook) -> None:
    hook.status = 307
    with pytest.raises(ChannelError, match="it answered 307"):
        send(Webhook(url=hook.url), MESSAGE, secrets={})


def test_mail_goes_by_the_server_of_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Server:
        def __init__(self, host: str, port: int, timeout: float) -> None:
            calls.append((host, port, timeout > 0))

        def __enter__(self) -> "Server":
            return self

        def __exit__(self, *_: object) -> None:
            calls.append("closed")

        def ehlo(self) -> None:
            calls.append("ehlo")

        def has_extn(self, name: str) -> bool:
            return name == "starttls"

        def starttls(self) -> None:
            calls.append("starttls")

        def login(self, user: str, password: str) -> None:
            calls.append((user, password))

        def send_message(self, mail: Any) -> None:
            calls.append((mail["From"], mail["To"], mail["Subject"], mail.get_content()))

    monkeypatch.setattr(channels.smtplib, "SMTP", Server)
    with pytest.raises(ChannelError, match="set the secret SMTP_URL"):
        send(Email(address="bob@example.org"), MESSAGE, secrets={})
    secrets = {"SMTP_URL": "smtp://ann%40example.org:p%3Aw@mail.example.org"}
    send(Email(address="bob@example.org"), MESSAGE, secrets=secrets)
    assert calls == [
        ("mail.example.org", 587, True),
        "ehlo",
        "starttls",
        ("ann@example.org", "p:w"),
        ("ann@example.org", "bob@example.org", "Modelyard: rule", "a run failed\n"),
        "closed",
    ]


def test_a_desktop_is_told_by_its_own_program(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels.shutil, "which", lambda _: None)
    with pytest.raises(ChannelError, match="no notify-send"):
        send(Desktop(), MESSAGE, secrets={})
    program = tmp_path / "notify-send"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/said\n')
    program.chmod(0o700)
    monkeypatch.setattr(channels.shutil, "which", lambda _: str(program))
    send(Desktop(), MESSAGE, secrets={})
    assert (tmp_path / "said").read_text().splitlines()[-2:] == ["Modelyard: rule", "a run failed"]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("body.where", {"where": "state ="}),
        ("body.where", {"where": ""}),
        ("body.name", {"name": ""}),
        ("body.to.webhook.url", {"to": {"kind": "webhook", "url": "file:///etc/passwd"}}),
        ("body.to.webhook.url", {"to": {"kind": "webhook", "url": "http://user:pw@host/"}}),
        ("body.to.webhook.url", {"to": {"kind": "webhook", "url": "http://"}}),
        ("body.to.email.address", {"to": {"kind": "email", "address": "bob@example.org\nBcc: all@example.org"}}),
        ("body.to", {"to": {"kind": "pigeon"}}),
    ],
)
def test_bad_rules_are_refused_by_field(client: TestClient, store: Store, field: str, change: dict[str, Any]) -> None:
    rule = {"name": "a", "where": "state = failed", "to": {"kind": "desktop"}, **change}
    answer = client.post("/api/v1/alerts/rules", json=rule)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert store.alerts.rules() == []


def test_rules_over_http(client: TestClient, store: Store, queued: Experiment, hook: Hook) -> None:
    del queued
    rule = _rule(hook.url).model_dump()
    made = client.post("/api/v1/alerts/rules", json=rule).json()
    assert made["created_by"] == "ann"
    assert [one["rule"] for one in client.get("/api/v1/alerts/rules").json()] == [rule]
    assert client.post("/api/v1/alerts/test", json=rule).status_code == 204
    assert hook.heard[0]["text"].startswith("Modelyard: ended: a test")
    hook.status = 404
    refused = client.post("/api/v1/alerts/test", json=rule)
    assert (refused.status_code, refused.json()["detail"]) == (502, "to: it answered 404")
    hook.status = 200
    _stop(store, "digits-1")
    AlertKeeper(store).look()
    assert [(one["run"], one["delivery"]) for one in client.get("/api/v1/alerts").json()] == [("digits-1", "sent")]
    assert client.delete(f"/api/v1/alerts/rules/{made['id']}").status_code == 204
    assert client.get("/api/v1/alerts").json() == []
    with pytest.raises(NotFoundError):
        store.alerts.delete(made["id"])
