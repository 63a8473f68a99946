"""What is where in a bundle: the names of its members, how large each may be, and the manifest that lists them."""

import re
from collections.abc import Collection
from typing import Annotated, Final, Literal

from pydantic import Field

from modelyard.domain.errors import UserError
from modelyard.store.bundles import POINTS, TABLES, Kept
from modelyard.store.bundles.records import Hash, Id, Label, Line, Moment, Name, Record

FORMAT: Final = "modelyard bundle"
VERSION: Final = 1
"""Raised whenever a bundle of before could be read in another way than it was meant."""

MANIFEST = "manifest.json"
MOST_MEMBERS = 100_000
MOST_PART_BYTES = 32 << 20
"""No part of a table is larger: it is read whole."""
PART_BYTES = 4 << 20
"""A part of a table ends with the record that makes it this large."""

_MOST_BLOB_BYTES = 1 << 44
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_PART = re.compile(rf"(?:{'|'.join(TABLES)})/[0-9]{{6}}\.jsonl|{POINTS}/[0-9]{{6}}\.bin")


class Member(Record):
    """What a member has to be."""

    sha256: Hash
    size: Annotated[int, Field(ge=0, le=_MOST_BLOB_BYTES)]
    """Bytes, unpacked."""


class About(Record):
    """What is in a bundle, for people."""

    experiment: Name
    experiment_id: Id
    runs: list[Name]
    checkpoints: Kept


class Manifest(Record):
    """Everything that a bundle has, and what made it."""

    format: Literal["modelyard bundle"]
    version: Literal[1]
    made_by: Line
    """The program and its version."""
    made_at: Moment
    actor: Label
    """Who exported it."""
    about: About
    members: dict[str, Member]


def is_member(name: str) -> bool:
    """Whether a bundle can have a member of this name."""
    return name == MANIFEST or _PART.fullmatch(name) is not None or _BLOB.fullmatch(name) is not None


def most_bytes(name: str) -> int:
    """Return how large a member may be."""
    return _MOST_BLOB_BYTES if _BLOB.fullmatch(name) else MOST_PART_BYTES


def part_name(table: str, number: int) -> str:
    """Return the name of a part of a table; the first one is 1."""
    return f"{table}/{number:06}.{'bin' if table == POINTS else 'jsonl'}"


def parts_of(table: str, names: Collection[str]) -> list[str]:
    """Return the parts of a table among the names of members, in order. Raises ``UserError`` if one is left out."""
    count = sum(name.startswith(f"{table}/") for name in names)
    parts = [part_name(table, number) for number in range(1, count + 1)]
    missing = next((part for part in parts if part not in names), None)
    if missing is not None:
        raise UserError(f"{missing} is missing")
    return parts


def blob_name(digest: str) -> str:
    """Return the name of a blob's member."""
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def digest_of(name: str) -> str | None:
    """Return the digest of the blob that a member is, if it is one."""
    found = _BLOB.fullmatch(name)
    return None if found is None else f"sha256:{found[1]}"
