"""A report's file: whole or not at all, and never over what is no report."""

import errno
import os
from pathlib import Path

import pytest

from modelyard.api.report import report_html, write_report
from modelyard.domain.errors import StorageFullError, StoreError, UserError


@pytest.fixture
def page(make, made, report):
    return report_html(report(make([made({"val_accuracy": [0.5]})])))


def test_a_report_takes_the_place_of_an_older_one(page, tmp_path):
    file = tmp_path / "report.html"
    write_report(page, file)
    write_report(page.replace("sweep-1", "other-1"), file)
    assert "other-1" in file.read_text()
    assert [path.name for path in tmp_path.iterdir() if "report" in path.name] == ["report.html"]


@pytest.mark.parametrize("content", [b"my notes", b"", b"\xff\xfe\x00binary", b"<html><title>Modelyard report"])
def test_what_is_no_report_stays(page, tmp_path, content):
    file = tmp_path / "notes.html"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"is not a report of Modelyard.*--force"):
        write_report(page, file)
    assert file.read_bytes() == content
    write_report(page, file, force=True)
    assert file.read_text() == page


def test_a_place_that_cannot_be_is_named(page, tmp_path):
    with pytest.raises(UserError, match="is a folder; name a file"):
        write_report(page, tmp_path)
    with pytest.raises(UserError, match="no is not a folder; create it first"):
        write_report(page, tmp_path / "no" / "report.html")


def test_a_place_that_may_not_be_written_is_named(page, tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StoreError, match=r"cannot write .*report\.html: Permission denied"):
        write_report(page, tmp_path / "report.html")
    assert list(tmp_path.glob("*report*")) == list(tmp_path.glob(".*report*")) == []


def test_a_full_disk_leaves_the_old_report(page, disk):
    file = disk.path / "report.html"
    write_report(page, file)
    before = file.read_text()
    disk.fill()
    with pytest.raises(StorageFullError, match="is full"):
        write_report(page * 3, file)
    disk.empty()
    assert file.read_text() == before
    assert [path.name for path in disk.path.iterdir()] == ["report.html"]
