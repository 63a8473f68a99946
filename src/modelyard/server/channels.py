"""Sends a message to where somebody reads it."""

import ipaddress
import json
import shutil
import smtplib
import socket
import subprocess
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit

from modelyard.domain.alerts import Channel, Desktop, Email, Webhook

TIMEOUT_SECONDS = 10.0
MAIL_SECRET = "SMTP_URL"  # noqa: S105 - the name of it
_MAIL_PORTS = {"smtp": 587, "smtps": 465}


class ChannelError(Exception):
    """A message did not arrive; the text says why, without any secret."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What is sent."""

    title: str
    text: str
    fields: Mapping[str, str]


def send(to: Channel, message: Message, *, secrets: Mapping[str, str]) -> None:
    """Send a message. Raises ``ChannelError``."""
    try:
        match to:
            case Webhook():
                _post(to.url, message)
            case Email():
                _mail(to.address, message, secrets.get(MAIL_SECRET, ""))
            case Desktop():
                _notify(message)
    except (OSError, smtplib.SMTPException) as error:
        raise ChannelError(_why(error)) from error
    except subprocess.TimeoutExpired as error:
        raise ChannelError("notify-send does not answer") from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing: an address was allowed, and not where it leads."""


def _post(url: str, message: Message) -> None:
    _refuse_metadata_services(url)
    body = json.dumps({"text": f"{message.title}: {message.text}", **message.fields}).encode()
    request = urllib.request.Request(  # noqa: S310 - http and https alone, see Webhook
        url, data=body, headers={"content-type": "application/json", "user-agent": "modelyard"}
    )
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS):
        pass


def _refuse_metadata_services(url: str) -> None:
    """Refuse link-local addresses: clouds answer there with the credentials of the machine."""
    host = urlsplit(url).hostname or ""
    for *_, address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM):
        found = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if found.is_link_local or found.is_multicast or found.is_unspecified:
            raise ChannelError(f"{host} is {found}, to which nothing is sent")


def _mail(address: str, message: Message, server: str) -> None:
    found = urlsplit(server)
    if found.scheme not in _MAIL_PORTS or not found.hostname:
        raise ChannelError(f"set the secret {MAIL_SECRET} to smtp://user:password@host:587 (or smtps://)")
    user, password = unquote(found.username or ""), unquote(found.password or "")
    mail = EmailMessage()
    mail["From"] = user if "@" in user else f"modelyard@{socket.gethostname()}"
    mail["To"] = address
    mail["Subject"] = message.title
    mail.set_content(message.text)
    make = smtplib.SMTP_SSL if found.scheme == "smtps" else smtplib.SMTP
    with make(found.hostname, found.port or _MAIL_PORTS[found.scheme], timeout=TIMEOUT_SECONDS) as connection:
        connection.ehlo()
        if found.scheme == "smtp" and connection.has_extn("starttls"):
            connection.starttls()
        if user:
            connection.login(user, password)
        connection.send_message(mail)


def _notify(message: Message) -> None:
    program = shutil.which("notify-send")
    if program is None:
        raise ChannelError("this machine has no notify-send, so nothing can be shown on its desktop")
    done = subprocess.run(  # noqa: S603 - no shell; the texts are arguments
        [program, "--app-name=Modelyard", "--", message.title, message.text],
        timeout=TIMEOUT_SECONDS,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise ChannelError("notify-send failed: is there a desktop?")


def _why(error: OSError | smtplib.SMTPException) -> str:
    if isinstance(error, HTTPError):
        return f"it answered {error.code}"
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the mail server refused the login ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPException):
        return f"the mail server refused: {type(error).__name__}"
    return f"it could not be reached: {error.strerror or error}"
