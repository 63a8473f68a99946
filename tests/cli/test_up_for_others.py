"""``modelyard up`` where users have to log in, and over HTTPS."""

import datetime
import ipaddress
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from modelyard.cli.main import main
from modelyard.domain.access import Role
from modelyard.domain.errors import ConflictError, UserError
from modelyard.server import serve as serving
from modelyard.server.listening import listen, name_of
from modelyard.server.serve import Address, Options, serve
from modelyard.store import Store

PASSWORD = "correct horse battery"


@contextmanager
def _up(home: Path, *arguments: str) -> Iterator[tuple[str, Any]]:
    command = [sys.executable, "-m", "modelyard.cli.main", "--home", str(home), "up", "--no-agent", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[3], process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.covers("up --auth")
def test_a_login_can_be_demanded_on_this_machine_too(home: Path, store: Store, cli: Any) -> None:
    assert "modelyard users add NAME --role admin" in cli.fails(4, "up", "--auth", "--no-agent")
    store.users.create("eva", PASSWORD, Role.EDITOR, actor="root")
    assert "make a user first" in cli.fails(4, "up", "--auth", "--no-agent")
    store.users.create("ann", PASSWORD, Role.ADMIN, actor="root")
    with _up(home, "--auth") as (url, _):
        assert httpx.get(f"{url}/api/v1/runs").status_code == 401
        assert httpx.get(url).status_code == 200
        with httpx.Client(base_url=url) as browser:
            answer = browser.post("/api/v1/session", json={"name": "ann", "password": PASSWORD})
            assert "secure" not in answer.headers["set-cookie"].lower()
            assert browser.get("/api/v1/runs").status_code == 200


@pytest.mark.covers("up --tls-cert", "up --tls-key")
def test_https(home: Path, store: Store, tmp_path: Path, cli: Any) -> None:
    store.users.create("ann", PASSWORD, Role.ADMIN, actor="root")
    certificate, key = _certificate(tmp_path)
    pair = ("--tls-cert", str(certificate), "--tls-key", str(key))
    assert "go together" in cli.fails(2, "up", "--tls-cert", certificate)
    assert "PEM" in cli.fails(2, "up", "--no-agent", "--tls-cert", key, "--tls-key", certificate)
    assert "No such file" in cli.fails(2, "up", "--no-agent", "--tls-cert", "nowhere", "--tls-key", key)
    with _up(home, "--auth", *pair) as (url, _):
        assert url.startswith("https://127.0.0.1:")
        with httpx.Client(base_url=url, verify=ssl.create_default_context(cafile=certificate)) as browser:
            answer = browser.post("/api/v1/session", json={"name": "ann", "password": PASSWORD})
            assert "secure" in answer.headers["set-cookie"].lower()
            assert browser.get("/api/v1/runs").status_code == 200


@pytest.mark.covers("up --host")
def test_the_address_is_handed_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given: list[Options] = []

    def note(_: Store, options: Options, *, ready: Any) -> None:
        given.append(options)
        ready(Address(url=f"http://{options.host}:1", pid=1))

    monkeypatch.setattr("modelyard.cli.up.serve", note)
    assert main(["--home", str(home), "up"]) == 0
    assert "unencrypted" not in capsys.readouterr().err
    assert main(["--home", str(home), "up", "--host", "gpu.lab"]) == 0
    assert "travel unencrypted: give --tls-cert" in capsys.readouterr().err
    assert [one.host for one in given] == ["127.0.0.1", "gpu.lab"]


def test_whom_others_can_reach_demands_a_login(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def reachable(host: str, port: int | None) -> Iterator[tuple[socket.socket, bool]]:
        assert (host, port) == ("10.0.0.1", None)
        with socket.socket() as listener:
            yield listener, False

    monkeypatch.setattr(serving, "listen", reachable)
    with pytest.raises(ConflictError, match="nobody could log in"):
        serve(store, Options(host="10.0.0.1", agent=False), ready=lambda _: None)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2"])
def test_who_listens_on_this_machine_alone_is_local(host: str) -> None:
    with listen(host, None) as (_, is_local):
        assert is_local


@pytest.mark.parametrize("host", ["no.such.name.invalid", "", "a b"])
def test_an_address_that_is_none_is_told(host: str) -> None:
    with pytest.raises(UserError, match=r"--host|port"), listen(host or "\0", None):
        pass


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(UserError, match=r"192\.0\.2\.1, port 0: .*choose others"), listen("192.0.2.1", None):
        pass


@pytest.mark.parametrize(
    ("host", "name"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("gpu.lab", "gpu.lab"), ("0.0.0.0", "me")]
)
def test_how_it_is_called(host: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "me")
    assert name_of(host) == name


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "modelyard test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file
