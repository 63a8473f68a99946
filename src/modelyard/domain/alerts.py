"""Alerts: which runs somebody wants to hear of, and where."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from modelyard.domain.base import Config
from modelyard.domain.errors import UserError
from modelyard.domain.query_parser import parse


class Webhook(Config):
    """A POST with JSON: ``text`` for chats, and the run's fields for programs."""

    kind: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(max_length=2000)]
    """``http`` or ``https``, without a user name; redirections are not followed."""

    @field_validator("url")
    @classmethod
    def _is_web(cls, url: str) -> str:
        try:
            found = urlsplit(url)
            usable = found.scheme in {"http", "https"} and bool(found.hostname) and found.port != 0
        except ValueError:
            usable = False
        if not usable or found.username is not None or any(ord(letter) <= ord(" ") for letter in url):
            raise ValueError("give an address that begins with http:// or https://, without a user name")
        return url


class Email(Config):
    """A message by the mail server of the secret ``SMTP_URL``: ``smtp://user:password@host:587``."""

    kind: Literal["email"] = "email"
    address: Annotated[str, Field(max_length=300, pattern=r"^[^\s@<>,]+@[^\s@<>,]+$")]


class Desktop(Config):
    """A notification on the desktop of the machine that serves."""

    kind: Literal["desktop"] = "desktop"


Channel = Annotated[Webhook | Email | Desktop, Field(discriminator="kind")]


class AlertRule(Config):
    """Tells of each run once, when it first matches a filter."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    where: Annotated[str, Field(max_length=2000)]
    """A filter on runs: ``state = failed``, ``reason = non_finite_loss``, ``val_accuracy > 0.9``."""
    to: Channel

    @field_validator("where")
    @classmethod
    def _is_filter(cls, where: str) -> str:
        try:
            parse(where)
        except UserError as error:
            raise ValueError(str(error)) from error
        return where


class Delivery(StrEnum):
    """What became of one alert."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class KeptRule:
    """A rule, as it is kept."""

    id: str
    rule: AlertRule
    seq: int
    """The newest event that it has looked at."""
    created_at: datetime
    created_by: str


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One run that matched one rule."""

    rule_id: str
    run_id: str
    run: str
    """The run's name."""
    text: str
    time: datetime
    delivery: Delivery
    attempts: int
    problem: str
    """Why the last attempt failed, or an empty string."""
