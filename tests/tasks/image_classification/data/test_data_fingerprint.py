import os
import shutil

import pytest

from modelyard.domain.parts.data import Digits, ImageFolder
from modelyard.tasks.image_classification.data import open_data

COUNTS = {"train/a": 3, "train/b": 3, "val/a": 1, "val/b": 1}


def fingerprint(root, **fields):
    return open_data(ImageFolder(path=str(root), **fields)).fingerprint


def test_the_fingerprint_of_known_content_is_fixed_for_ever():
    # A change would make every finished run look as if its data had changed since.
    assert open_data(Digits()).fingerprint == "0715c00f74654e254104547ef54d8ca91d1fa8414972824e8f633459046c69bd"


def test_place_times_and_order_of_creation_do_not_count(make_folder, tmp_path):
    root = make_folder(COUNTS)
    before = fingerprint(root)
    copy = tmp_path / "elsewhere/copy"
    for folder in sorted(COUNTS, reverse=True):
        (copy / folder).mkdir(parents=True)
        for path in sorted((root / folder).iterdir(), reverse=True):
            shutil.copyfile(path, copy / folder / path.name)
            os.utime(copy / folder / path.name, (1, 1))
    (copy / "train/a/.DS_Store").write_bytes(b"x")
    assert fingerprint(copy) == before
    assert fingerprint(copy, image_size=40) == before


def rename_file(root):
    (root / "train/a/000.png").rename(root / "train/a/000-renamed.png")


def rename_class(root):
    (root / "train/a").rename(root / "train/aa")
    (root / "val/a").rename(root / "val/aa")


def change_byte(root):
    path = root / "val/b/000.png"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def remove_file(root):
    (root / "train/b/001.png").unlink()


def move_to_other_class(root):
    (root / "train/a/000.png").rename(root / "train/b/999.png")


def swap_contents(root):
    first, second = root / "train/a/000.png", root / "train/b/000.png"
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)


def rename_split(root):
    (root / "val").rename(root / "test")


@pytest.mark.parametrize(
    "change",
    [rename_file, rename_class, change_byte, remove_file, move_to_other_class, swap_contents, rename_split],
)
def test_every_change_of_content_counts(make_folder, change):
    root = make_folder(COUNTS)
    before = fingerprint(root, val_fraction=0)
    change(root)
    assert fingerprint(root, val_fraction=0) != before


def test_each_file_is_read_once(make_folder, monkeypatch):
    from modelyard.tasks.image_classification.data.image_folder import FileImages

    read = []
    digest = FileImages._digest
    monkeypatch.setattr(FileImages, "_digest", lambda self, name: read.append(name) or digest(self, name))
    fingerprint(make_folder(COUNTS))
    assert len(read) == len(set(read)) == sum(COUNTS.values())
