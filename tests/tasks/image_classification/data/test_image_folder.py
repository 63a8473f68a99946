import os
import re

import numpy as np
import pytest
from PIL import Image

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import ImageFolder
from modelyard.tasks.image_classification.data import inspect, open_data

PAIR = {"train/cat": 4, "train/dog": 6, "val/cat": 2, "val/dog": 2}


def names(split):
    return [split.name(index) for index in range(len(split))]


def test_split_folders_are_used_as_they_are(make_folder):
    data = open_data(ImageFolder(path=str(make_folder({**PAIR, "test/dog": 1})), val_fraction=0.5, test_fraction=0.4))
    assert data.classes == ("cat", "dog")
    assert data.train.class_counts == (4, 6)
    assert data.val.class_counts == (2, 2)
    assert data.test.class_counts == (0, 1)
    assert names(data.val) == ["val/cat/000.png", "val/cat/001.png", "val/dog/000.png", "val/dog/001.png"]
    assert data.val.labels.tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
def test_validation_folders_by_any_usual_name(make_folder, name):
    root = make_folder({"train/a": 3, "train/b": 3, f"{name}/a": 1, f"{name}/b": 1})
    assert len(open_data(ImageFolder(path=str(root))).val) == 2


def test_class_folders_without_split_folders(make_folder):
    data = open_data(ImageFolder(path=str(make_folder({"b": 10, "a": 10})), val_fraction=0.2))
    assert data.classes == ("a", "b")
    assert data.train.class_counts == (8, 8)
    assert data.val.class_counts == (2, 2)
    assert set(names(data.train)).isdisjoint(names(data.val))


def test_a_missing_split_is_drawn_beside_one_that_exists(make_folder):
    root = make_folder({"train/a": 10, "train/b": 10, "test/a": 1, "test/b": 1})
    data = open_data(ImageFolder(path=str(root), val_fraction=0.2))
    assert (len(data.train), len(data.val), len(data.test)) == (16, 4, 2)


def test_pixels_are_those_of_the_file(make_folder):
    root = make_folder(PAIR)
    data = open_data(ImageFolder(path=str(root)))
    with Image.open(root / "train/cat/002.png") as image:
        expected = np.asarray(image).transpose(2, 0, 1)
    assert np.array_equal(data.train.decode(2), expected)


def test_nested_folders_and_suffixes_in_any_case_count(make_folder, write_image):
    root = make_folder(PAIR)
    write_image(root / "train/cat/deep/er/ONE.JPG")
    write_image(root / "train/cat/two.TIFF")
    data = open_data(ImageFolder(path=str(root)))
    assert names(data.train)[:6] == [
        *(f"train/cat/00{number}.png" for number in range(4)),
        "train/cat/deep/er/ONE.JPG",
        "train/cat/two.TIFF",
    ]


def test_hidden_and_other_files_are_left_out_and_counted(make_folder, write_image):
    root = make_folder(PAIR)
    write_image(root / "train/cat/.hidden.png")
    write_image(root / ".cache/x/1.png")
    (root / "train/cat/notes.txt").write_text("x")
    (root / "train/README.md").write_text("x")
    (root / "LICENSE").write_text("x")
    config = ImageFolder(path=str(root))
    assert len(open_data(config).train) == 10
    assert inspect(config).ignored == {"hidden": 1, "not images": 1, "files outside class folders": 2}


def test_the_order_of_the_file_system_does_not_matter(make_folder, monkeypatch):
    root = make_folder({"a": 10, "b": 10})
    before = open_data(ImageFolder(path=str(root)))
    scandir = os.scandir

    class Reversed:
        def __init__(self, where):
            with scandir(where) as entries:
                self.entries = sorted(entries, key=lambda entry: entry.name, reverse=True)

        def __enter__(self):
            return iter(self.entries)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(os, "scandir", Reversed)
    after = open_data(ImageFolder(path=str(root)))
    assert names(after.val) == names(before.val)
    assert after.fingerprint == before.fingerprint


def test_relative_paths_start_at_the_folder(make_folder):
    root = make_folder(PAIR)
    assert len(open_data(ImageFolder(path="images"), folder=root.parent).train) == 10


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"train/cat": 3, "train/dog": 0}, r"class folder .*train/dog has no images"),
        ({"train/cat": 3}, r"only one class \('cat'\)"),
        ({"cat": 3}, r"only one class \('cat'\)"),
        ({"train/cat": 3, "train/dog": 3, "val/fox": 2}, r"class 'fox' is in val \(2 images\) but not in train"),
        ({"train/cat": 3, "train/dog": 3, "val/dog": 0}, r"the val split in .*val has no images"),
        ({"train/cat": 3, "train/dog": 3, "val": 0}, r"the val split in .*val has no images"),
        ({"train": 0}, r"train has no class folders"),
        ({"": 0}, r"has no class folders"),
        ({"": 4}, r"has no class folders"),
        ({"val/cat": 3, "val/dog": 3}, r"has val but no train folder"),
        ({"train/cat": 3, "val/cat": 3, "valid/cat": 3}, r"val and valid both mean val"),
    ],
)
def test_bad_folders_are_named(make_folder, counts, message):
    with pytest.raises(DataError, match=message):
        open_data(ImageFolder(path=str(make_folder(counts))))


def test_all_problems_are_told_at_once(make_folder):
    root = make_folder({"train/cat": 3, "train/dog": 0, "train/cow": 0, "val/fox": 1})
    with pytest.raises(DataError) as caught:
        open_data(ImageFolder(path=str(root)))
    assert all(name in str(caught.value) for name in ("dog", "cow", "fox"))


def test_a_missing_path_and_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="there is nothing at"):
        open_data(ImageFolder(path="nowhere"), folder=tmp_path)
    with pytest.raises(DataError, match="is a file; this source needs a folder"):
        open_data(ImageFolder(path="file"), folder=tmp_path)


def test_a_corrupt_image_opens_but_is_named_when_it_is_read(make_folder, write_image):
    root = make_folder({"a": 3, "b": 3})
    path = write_image(root / "a/broken.jpg")
    path.write_bytes(path.read_bytes()[:-50])
    (root / "b/fake.png").write_text("<html>not found</html>")
    data = open_data(ImageFolder(path=str(root), val_fraction=0))
    with pytest.raises(DataError, match=r"^a/broken.jpg: cannot read the image \(.*truncated.*\)"):
        data.train.decode(names(data.train).index("a/broken.jpg"))
    with pytest.raises(DataError, match=r"^b/fake.png: cannot read the image \(not an image"):
        data.train.decode(names(data.train).index("b/fake.png"))


def test_a_file_that_vanishes_is_named(make_folder):
    root = make_folder({"a": 3, "b": 3})
    data = open_data(ImageFolder(path=str(root), val_fraction=0))
    (root / "a/001.png").unlink()
    with pytest.raises(DataError, match=r"^a/001.png: no such file"):
        data.train.decode(1)


def test_links_that_leave_the_folder_are_refused(make_folder, write_image, tmp_path):
    outside = write_image(tmp_path / "private/1.png")
    for link, target in (("a/link.png", outside), ("a/more", outside.parent), ("c", outside.parent)):
        root = make_folder({"a": 3, "b": 3}, name=f"set-{link.replace('/', '-')}")
        (root / link).symlink_to(target)
        with pytest.raises(DataError, match=f"{re.escape(link)} leads out of the data set's folder"):
            open_data(ImageFolder(path=str(root)))


def test_links_within_the_folder_are_followed_once(make_folder):
    root = make_folder({"a": 3, "b": 3})
    (root / "a/again").symlink_to(root / "a")
    (root / "a/linked.png").symlink_to(root / "b/000.png")
    assert open_data(ImageFolder(path=str(root), val_fraction=0)).train.class_counts == (4, 3)


def test_the_data_set_itself_may_be_a_link(make_folder, tmp_path):
    (tmp_path / "link").symlink_to(make_folder(PAIR))
    assert len(open_data(ImageFolder(path=str(tmp_path / "link"))).train) == 10


def test_data_roots_limit_where_data_may_be(make_folder, tmp_path, monkeypatch):
    root = make_folder(PAIR)
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed/link").symlink_to(root)
    monkeypatch.setenv("MODELYARD_DATA_ROOTS", os.pathsep.join([str(tmp_path / "other"), str(root.parent)]))
    assert len(open_data(ImageFolder(path=str(root))).train) == 10
    monkeypatch.setenv("MODELYARD_DATA_ROOTS", str(tmp_path / "allowed"))
    for path in (str(root), str(tmp_path / "allowed/../images"), str(tmp_path / "allowed/link")):
        with pytest.raises(DataError, match="outside the folders that MODELYARD_DATA_ROOTS allows"):
            open_data(ImageFolder(path=path))


def test_the_default_size_and_channels_follow_the_images(make_folder, write_image):
    root = make_folder({"a": 2, "b": 2})
    assert open_data(ImageFolder(path=str(root))).preprocessing.shape == (3, 12, 12)
    for name in ("grey/a/1.png", "grey/a/2.png", "grey/b/1.png", "grey/b/2.png"):
        write_image(root.parent / name, pixels=np.zeros((300, 500), np.uint8))
    assert open_data(ImageFolder(path=str(root.parent / "grey"))).preprocessing.shape == (1, 224, 224)
