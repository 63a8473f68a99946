"""Records that cannot be are refused by the member and the line, whatever the manifest says."""

import hashlib
import json
import re
import struct

import pytest

BLOB = re.compile(r"blobs/sha256/")


def line_of(table, **changes):
    """Change fields of the first record of a table; a field that becomes ``...`` goes."""

    def change(members):
        name = f"{table}/000001.jsonl"
        first, *rest = members[name].split(b"\n")
        record = {**json.loads(first), **changes}
        kept = {field: value for field, value in record.items() if value is not ...}
        return {**members, name: b"\n".join([json.dumps(kept).encode(), *rest])}

    return change


def repeated(table):
    """Write the first record of a table twice."""

    def change(members):
        name = f"{table}/000001.jsonl"
        return {**members, name: members[name].split(b"\n")[0] + b"\n" + members[name]}

    return change


def text_of(table, text):
    return lambda members: {**members, f"{table}/000001.jsonl": text}


def points_of(change):
    return lambda members: {**members, "points/000001.bin": change(members["points/000001.bin"])}


OTHER = "0123456789abcdef"
RECORDS = [
    (line_of("runs", id="../../evil"), "runs/000001.jsonl, line 1: id: "),
    (line_of("runs", id="0123456789ABCDEF"), "id: "),
    (line_of("runs", id=OTHER + "\n"), "id: "),
    (line_of("runs", id=7), "id: "),
    (line_of("runs", name="no name"), "name: "),
    (line_of("runs", name="a\0b"), "name: "),
    (line_of("runs", state="flying"), "state: "),
    (line_of("runs", step=float("nan")), "step: "),
    (line_of("runs", step=float("inf")), "step: "),
    (line_of("runs", step=1.5), "step: "),
    (line_of("runs", step=-1), "step: "),
    (line_of("runs", step=2**64), "step: "),
    (line_of("runs", step=True), "step: "),
    (line_of("runs", step="3"), "step: "),
    (line_of("runs", stack_gain=float("nan")), "stack_gain: "),
    (line_of("runs", priority=1000), "priority: "),
    (line_of("runs", step=...), "step: "),
    (line_of("runs", more=1), "more: "),
    (line_of("runs", created_at="2026-01-01T00:00:00"), "created_at: "),
    (line_of("runs", created_at="9999-12-31T23:59:59Z"), "created_at: "),
    (line_of("runs", created_at=0), "created_at: "),
    (line_of("runs", spec="{}"), "does not have the hash"),
    (line_of("runs", spec="{}", spec_hash=hashlib.sha256(b"{").hexdigest()), "does not have the hash"),
    (line_of("runs", spec='{"a":1}', spec_hash=hashlib.sha256(b'{"a":1}').hexdigest()), "runs/000001.jsonl, line 1"),
    (line_of("runs", trial=1), "cannot be trial 1"),
    (line_of("runs", attempt=2), "attempts of run s-1 are not 1 to 2"),
    (line_of("experiment", sweep="{}"), "does not have the hash"),
    (line_of("experiment", last_request=10**13), "last_request: "),
    (line_of("experiment", id="x"), "id: "),
    (line_of("attempts", run=OTHER), "that is not in it"),
    (line_of("attempts", number=2), "attempts of run s-1"),
    (line_of("attempts", worker_id="a/b"), "worker_id: "),
    (line_of("requests", op={"kind": "explode"}), "op: "),
    (line_of("requests", number=10**11), "a number beyond the last one"),
    (line_of("requests", actor=""), "actor: "),
    (line_of("checkpoints", saved_by=OTHER), "cannot be of run s-1"),
    (line_of("checkpoints", attempt=9), "cannot be of run s-1"),
    (line_of("checkpoints", files={}), "files: "),
    (line_of("checkpoints", files={"../x": ["sha256:" + "0" * 64, 1]}), "files"),
    (line_of("checkpoints", files={"x": ["sha256:" + "0" * 64, 1]}), "is missing"),
    (line_of("checkpoints", files={"x": ["0" * 64, 1]}), "files"),
    (line_of("checkpoints", metrics={"x": float("inf")}), "metrics.x: "),
    (line_of("artifacts", size=1), "has 2 bytes, not 1"),
    (line_of("artifacts", digest="sha256:../../x"), "digest: "),
    (line_of("evaluations", scores="AAAA"), "no packed scores"),
    (line_of("evaluations", scores="%"), "no packed scores"),
    (line_of("evaluations", metrics={"x": "1"}), "metrics.x: "),
    (line_of("series", points=2), "more points than"),
    (line_of("series", points=4), "fewer points than"),
    (line_of("series", points=2**60), "points: "),
    (line_of("series", name=""), "name: "),
    (line_of("logs", text="a\0b"), "NUL"),
    (line_of("logs", number=0), "number: "),
    (line_of("logs", number=2), "numbers of the log lines of run s-1 are not in order"),
    (line_of("events", run=OTHER), "an event is about a run"),
    (line_of("events", payload={"type": "run.exploded"}), "payload: "),
    (line_of("events", time="3026-01-01T00:00:00Z"), "time: "),
    (repeated("experiment"), "2 experiments instead of one"),
    (repeated("runs"), "is in it twice"),
    (repeated("attempts"), "attempts of run s-1"),
    (repeated("requests"), "is in it twice"),
    (repeated("checkpoints"), "has a checkpoint twice"),
    (repeated("artifacts"), "is in it twice"),
    (repeated("evaluations"), "are not in order"),
    (repeated("series"), "is in it twice"),
    (text_of("runs", b""), "there is no run in it"),
    (text_of("runs", b"{}"), "does not end with the end of a line"),
    (text_of("runs", b"\n"), "line 1"),
    (text_of("runs", b"[" * 9999 + b"\n"), "recursion"),
    (text_of("runs", b"\xff\xfe\n"), "line 1"),
    (text_of("runs", b'{"id": "\\ud800"}\n'), "line 1"),
    (text_of("logs", b'{"number": 1' + b"0" * 5000 + b"}\n"), "line 1"),
    (text_of("search", b'{"number": 1, "entry": {"kind": "settled"}}\n'), "no search that decides"),
    (text_of("search", b'{"number": 2, "entry": {"kind": "opened"}}\n'), "not in order"),
    (points_of(lambda data: data[:-1]), "fewer points"),
    (points_of(lambda data: data + bytes(28)), "more points"),
    (points_of(lambda data: data[:-4] + struct.pack("<i", 9)), "of another attempt"),
    (points_of(lambda data: data[:-20] + struct.pack("<q", 2**62) + data[-12:]), "of no time"),
    (lambda members: {**members, "logs/000003.jsonl": b""}, "logs/000002.jsonl is missing"),
    (
        lambda members: {**members, f"blobs/sha256/{hashlib.sha256(b'x').hexdigest()}": b"x"},
        "nothing in it needs the blob",
    ),
    (lambda members: {name: data for name, data in members.items() if not BLOB.match(name)}, "is missing"),
]


@pytest.mark.parametrize(("change", "why"), RECORDS, ids=[f"{place}-{why}" for place, (_, why) in enumerate(RECORDS)])
def test_records_that_cannot_be(refused, members, manifest, change, why, zipped):
    refused(zipped(change(members), manifest), why)
