"""An archive that is damaged, or made to harm, is refused with a reason, and leaves no trace."""

import hashlib
import io
import json
import re
import stat
import struct
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelyard.api.bundles import archive, import_bundle, layout
from modelyard.domain.errors import StorageFullError, UserError
from modelyard.store import open_store

BLOB = re.compile(r"blobs/sha256/")


def test_what_the_tests_below_change_is_sound(sqlite_store, sound, members, manifest, tmp_path, zipped):
    (tmp_path / "rebuilt.zip").write_bytes(zipped(members, manifest))
    assert import_bundle(sqlite_store, tmp_path / "rebuilt.zip", actor="joe").runs == ["s-1", "s-2"]
    (tmp_path / "sound.zip").write_bytes(sound)
    assert import_bundle(sqlite_store, tmp_path / "sound.zip", actor="joe").present == ["s-1", "s-2"]


def test_an_archive_that_another_program_packed_again_is_fine(sqlite_store, members, manifest, tmp_path, zipped):
    def deflated(info):
        info.compress_type = zipfile.ZIP_DEFLATED
        yield info

    (tmp_path / "again.zip").write_bytes(zipped(members, manifest, change=deflated))
    assert import_bundle(sqlite_store, tmp_path / "again.zip", actor="joe").runs == ["s-1", "s-2"]


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "/etc/passwd",
        "blobs/sha256/../../../evil",
        "C:\\evil",
        "blobs/sha256/",
        "runs/",
        "runs/1.jsonl",
        f"blobs/sha256/{'A' * 64}",
        f"./blobs/sha256/{'a' * 64}",
        "unknown/000001.jsonl",
        "runs/000001.jsonl\n",
        "ünïcode",
    ],
)
def test_a_name_that_no_bundle_has(refused, members, manifest, name, zipped):
    refused(zipped({**members, name: b""}, manifest), "is not the name of anything that a bundle has")


def test_members_that_are_no_files_or_twice_there(refused, members, manifest, zipped):
    victim = next(name for name in members if BLOB.match(name))

    def changed(**values):
        def change(info):
            if info.filename == victim:
                for name, value in values.items():
                    setattr(info, name, value)
            yield info

        return change

    def twice(info):
        yield info
        if info.filename == victim:
            yield zipfile.ZipInfo(info.filename)

    refused(zipped(members, manifest, change=twice), "is in it twice")
    for kind in (stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO):
        refused(zipped(members, manifest, change=changed(external_attr=(kind | 0o777) << 16)), "is a link or something")
    for how in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        refused(zipped(members, manifest, change=changed(compress_type=how)), "compressed in a way that bundles do not")


def test_an_encrypted_member(refused, members, manifest, zipped):
    data = bytearray(zipped(members, manifest))
    entry = data.index(b"PK\1\2")
    data[entry + 8] |= 1
    refused(bytes(data), "is encrypted")


def test_bombs(refused, members, manifest, monkeypatch, zipped):
    def deflated(info):
        info.compress_type = zipfile.ZIP_DEFLATED
        yield info

    zeros = bytes(20 << 20)
    bomb = {**members, f"blobs/sha256/{hashlib.sha256(zeros).hexdigest()}": zeros}
    refused(zipped(bomb, manifest, change=deflated), "a zip bomb")
    large = {**members, "logs/000001.jsonl": bytes(layout.MOST_PART_BYTES + 1)}
    refused(zipped(large, manifest), "at most 33,554,432 are read")
    for module in (archive, layout):
        monkeypatch.setattr(module, "MOST_MEMBERS", 5)
    refused(zipped(members, manifest), "a bundle has fewer")


def test_a_directory_that_is_too_large_is_not_read(refused, sound):
    data = bytearray(sound)
    struct.pack_into("<L", data, len(data) - 10, 0xFFFFFF00)  # bytes of the directory
    refused(bytes(data), "a bundle has fewer")


def test_sizes_that_are_not_true(refused, members, manifest, zipped):
    data = zipped(members, manifest)
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        victim = next(info for info in opened.infolist() if BLOB.match(info.filename))
    entry = data.index(victim.filename.encode(), data.index(b"PK\1\2")) - 46
    for size in (1, victim.file_size + 1):
        lying = bytearray(data)
        struct.pack_into("<L", lying, entry + 24, size)  # unpacked
        refused(bytes(lying), "says two sizes")
        struct.pack_into("<L", lying, entry + 20, size)  # packed, too
        refused(bytes(lying), "bytes, and .* in the manifest|lies upon another member|damaged")


def test_members_that_share_their_bytes(refused, members, manifest, zipped):
    data = bytearray(zipped(members, manifest))
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    refused(bytes(data), "lies upon another member")


def test_a_cut_off_archive(refused, sound):
    for length in (0, 3, 21, 22, 1000, len(sound) // 2, len(sound) - 30, len(sound) - 1):
        refused(sound[:length], "cut off|damaged")
    refused(sound + b"x", "it is cut off")
    refused(sound[10:], "lies upon|damaged|cut off|missing")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_byte_changes_what_is_imported(sound, tmp_path_factory, data, untouched):
    place = data.draw(st.integers(0, len(sound) - 1))
    changed = bytearray(sound)
    changed[place] ^= data.draw(st.integers(1, 255))
    folder = tmp_path_factory.mktemp("changed")
    path = folder / "changed.zip"
    path.write_bytes(changed)
    with open_store(folder / "home") as store:
        try:
            imported = import_bundle(store, path, actor="joe")
        except UserError:
            assert untouched(store)
        else:  # such as the date of a member
            assert imported.runs == ["s-1", "s-2"]
            assert store.gc.missing() == []
            path.write_bytes(sound)
            assert import_bundle(store, path, actor="joe").runs == []


def test_a_manifest_that_is_not_one(refused, members, manifest, zipped):
    refused(zipped(members), "has no manifest.json")
    for text, why in (
        (b"", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is not that of a bundle"),
        (b'{"format": "other"}', "is not that of a bundle"),
        (b'{"format": NaN}', "is no JSON"),
    ):
        refused(zipped({**members, layout.MANIFEST: text}), why)
    for change, why in (
        ({"version": 2}, "made by a newer Modelyard .format 2; this one reads 1"),
        ({"version": 0}, "version: "),
        ({"version": "1"}, "version: "),
        ({"version": None}, "version: "),
        ({"made_at": "yesterday"}, "made_at: "),
        ({"made_at": 1e300}, "made_at: "),
        ({"actor": 3}, "actor: "),
        ({"about": []}, "about: "),
        ({"more": 1}, "more: "),
    ):
        refused(zipped(members, {**manifest, **change}), why)


def test_members_that_are_not_as_the_manifest_says(refused, members, manifest, zipped):
    victim = next(name for name in members if BLOB.match(name))
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in members.items()}

    def with_list(members, listed):
        return zipped({**members, layout.MANIFEST: json.dumps({**manifest, "members": listed}).encode()})

    refused(with_list({name: data for name, data in members.items() if name != victim}, listed), "is missing")
    refused(with_list(members, {name: one for name, one in listed.items() if name != victim}), "is too much")
    for name in (victim, "runs/000001.jsonl", "points/000001.bin"):
        other = bytes(reversed(members[name]))
        refused(with_list({**members, name: other}, listed), "was changed: it does not have the hash")
        refused(with_list({**members, name: members[name] + b"\n"}, listed), "bytes, and .* in the manifest")
    wrong = {**listed, victim: {**listed[victim], "sha256": "0" * 64}}
    refused(with_list(members, wrong), "is named after another hash")
    for value in (True, -1, 1.5, "7", 1e400, None):
        refused(with_list(members, {**listed, victim: {**listed[victim], "size": value}}), "size: |no JSON")


def test_a_disk_that_is_too_small_is_left_alone(refused, sound, monkeypatch):
    monkeypatch.setattr("modelyard.api.bundles.importing.free_bytes", lambda _: 1 << 20)
    refused(sound, "the disk of .* is full", error=StorageFullError)


def test_a_file_that_cannot_be_read(sqlite_store, tmp_path):
    for path in (tmp_path / "none.zip", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            import_bundle(sqlite_store, path, actor="joe")
