"""The base of every config class, and the content hash that identifies a config."""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of every configuration: immutable, and an unknown key is an error.

    Every field has a ``description``: it is the help text that the CLI, the docs and the form builder show.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


def canonical_json(value: Any) -> str:
    """Serialise JSON-compatible ``value`` so that equal values always give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(config: BaseModel) -> str:
    """SHA-256 (hex) of a config's canonical JSON; equal configs have equal hashes on every machine."""
    return hashlib.sha256(canonical_json(config.model_dump(mode="json")).encode()).hexdigest()
