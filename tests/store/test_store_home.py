"""The home folder and the doorbell in it."""

import os
import stat
import threading

import pytest

from modelyard.domain.errors import SchemaVersionError, StoreError
from modelyard.store import Home, open_store
from modelyard.store.doorbell import Doorbell


def test_a_new_home_is_private_to_its_user(home):
    with open_store(home) as store:
        store.home.scratch("abc")
        store.home.worker_log("w1").write_text("x")
    folders = [home, home / "scratch", home / "scratch" / "abc", home / "logs"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_the_environment_names_the_home(home, monkeypatch):
    monkeypatch.setenv("MODELYARD_HOME", str(home))
    with open_store() as store:
        assert store.home.path == home
        assert store.home.database.is_file()


def test_the_default_home_is_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("MODELYARD_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with open_store() as store:
        assert store.home.path == tmp_path / ".modelyard"


@pytest.mark.parametrize("theirs", ["blobs", "modelyard.db", "scratch"])
def test_a_folder_with_somebody_elses_files_is_refused_and_stays_as_it_is(home, theirs):
    (home / theirs).mkdir(parents=True)
    with pytest.raises(StoreError, match=f"{theirs} in it but was not made by Modelyard"):
        open_store(home)
    assert [path.name for path in home.iterdir() if path.name != "home.lock"] == [theirs]


def test_other_files_in_the_folder_do_not_matter(home):
    home.mkdir()
    (home / "sweep.yaml").write_text("name: a")
    open_store(home).close()
    assert (home / "sweep.yaml").read_text() == "name: a"


def test_a_home_of_a_newer_layout_is_refused(home):
    home.mkdir()
    (home / "home.json").write_text('{"format": 2}')
    with pytest.raises(SchemaVersionError, match="newer Modelyard"):
        open_store(home)
    (home / "home.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        open_store(home)
    assert [path.name for path in home.iterdir()] == ["home.json"]


def test_a_path_that_cannot_be_a_home(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="MODELYARD_HOME"):
        open_store(tmp_path / "file")


@pytest.mark.parametrize("bad", ["..", "a/b", "", ".hidden", "a\nb"])
def test_a_name_cannot_leave_the_home(home, bad):
    ours = Home(home)
    ours.prepare()
    before = sorted(home.rglob("*"))
    for use in (ours.scratch, ours.remove_scratch, ours.worker_log):
        with pytest.raises(ValueError, match="is not an id"):
            use(bad)
    assert sorted(home.rglob("*")) == before


def test_removing_scratch_does_not_follow_links(home, tmp_path):
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "file").write_text("precious")
    ours = Home(home)
    (ours.scratch("abc") / "link").symlink_to(theirs)
    ours.remove_scratch("abc")
    ours.remove_scratch("abc")
    assert (theirs / "file").exists()
    assert not (home / "scratch" / "abc").exists()


def test_every_ring_is_heard_by_everyone(tmp_path):
    one, other = Doorbell(tmp_path / "bell"), Doorbell(tmp_path / "bell")
    seen = {one.value()}
    for _ in range(100):
        other.ring()
        assert one.value() == other.value()
        seen.add(one.value())
    assert len(seen) == 101
    one.close()
    other.close()


def test_rings_at_once_do_not_undo_each_other(tmp_path):
    bell = Doorbell(tmp_path / "bell")
    heard = bell.value()
    threads = [threading.Thread(target=bell.ring) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert bell.value() != heard
    bell.close()


def test_the_bell_survives_reopening_and_takes_real_space(tmp_path):
    path = tmp_path / "bell"
    bell = Doorbell(path)
    bell.ring()
    value = bell.value()
    bell.close()
    assert path.stat().st_size == 8
    assert path.stat().st_blocks > 0 or os.uname().sysname != "Linux"
    again = Doorbell(path)
    assert again.value() == value
    again.close()
