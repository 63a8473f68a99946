import shutil

import numpy as np
import pytest

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import Digits, ImageFolder, Parquet
from modelyard.tasks.image_classification.data import DatasetReport, inspect, open_data

BALANCED = {"train/cat": 20, "train/dog": 20, "val/cat": 3, "val/dog": 3}


def inspect_folder(root, **fields):
    return inspect(ImageFolder(path=str(root), **fields))


def test_a_clean_data_set_has_counts_and_no_warnings(make_folder):
    root = make_folder(BALANCED)
    report = inspect_folder(root)
    assert report.classes == ["cat", "dog"]
    assert report.splits["train"].per_class == {"cat": 20, "dog": 20}
    assert report.splits["val"].count == 6
    assert report.splits["test"].count == 0
    assert report.width is not None
    assert (report.width.min, report.width.median, report.width.max) == (12, 12, 12)
    assert report.modes == {"RGB": 46}
    assert report.imbalance == 1
    assert report.fingerprint == open_data(ImageFolder(path=str(root))).fingerprint
    assert report.preprocessing == {"image_size": 12, "channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3}
    assert (report.errors, report.warnings, report.corrupt, report.empty_classes) == ([], [], [], {})
    assert report.notes == ["The source has its own val split, so val_fraction is ignored."]
    assert not report.splits["val"].drawn
    assert DatasetReport.model_validate_json(report.model_dump_json()) == report


def test_splits_are_those_that_training_would_draw(make_folder):
    root = make_folder({"a": 20, "b": 20})
    report = inspect_folder(root, val_fraction=0.25, max_per_class=12)
    assert (report.splits["train"].count, report.splits["val"].count) == (24, 10)
    assert report.splits["val"].drawn
    assert report.notes == []


def test_corrupt_files_are_all_named_with_the_reason(make_folder, write_image):
    root = make_folder(BALANCED)
    (root / "train/cat/003.png").write_bytes(b"")
    (root / "val/dog/001.png").write_text("<html>")
    jpeg = write_image(root / "train/dog/half.jpg")
    jpeg.write_bytes(jpeg.read_bytes()[:-80])
    report = inspect_folder(root)
    assert [image.name for image in report.corrupt] == ["train/cat/003.png", "train/dog/half.jpg", "val/dog/001.png"]
    assert all(image.reason and image.name not in image.reason for image in report.corrupt)
    assert report.errors == [
        "3 image(s) cannot be decoded (train/cat/003.png, train/dog/half.jpg, val/dog/001.png); replace or remove them"
    ]
    assert sum(report.modes.values()) == 44


def test_duplicates_are_found_by_pixels_not_by_bytes(make_folder, write_image):
    root = make_folder(BALANCED)
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    write_image(root / "train/cat/x.png", pixels=pixels)
    write_image(root / "train/cat/y.bmp", pixels=pixels)
    write_image(root / "val/cat/z.tiff", pixels=pixels)
    write_image(root / "train/dog/other-shape.png", pixels=pixels.reshape(7, 9, 3))
    found = inspect_folder(root).duplicates
    assert (found.within_splits, found.across_splits, found.contradictory) == (1, 1, 0)
    [group] = found.groups
    assert group.images == ["train: train/cat/x.png", "train: train/cat/y.bmp", "val: val/cat/z.tiff"]
    assert (group.splits, group.classes) == (["train", "val"], ["cat"])


def test_duplicates_across_splits_are_listed_first_and_warned_of(make_folder):
    root = make_folder(BALANCED)
    shutil.copy(root / "train/cat/000.png", root / "train/cat/copy.png")
    shutil.copy(root / "train/cat/005.png", root / "val/dog/leak.png")
    report = inspect_folder(root)
    assert report.duplicates.groups[0].splits == ["train", "val"]
    assert [sentence.split(" ", 1)[1] for sentence in report.warnings] == [
        "image(s) of val or test have the same pixels as one of an earlier split, so the metrics look better than they "
        "are; remove the copies.",
        "group(s) of equal images are labelled with different classes; correct the labels.",
        "image(s) are copies of another one in the same split; they count more than once.",
    ]


def test_imbalance_small_and_empty_classes_and_shape_are_warned_of(make_folder, write_image):
    root = make_folder({"train/a": 100, "train/b": 4, "val/a": 2})
    for number in range(200):
        write_image(root / f"train/c/{number}.png", pixels=np.full((8, 16), number, np.uint8))
    report = inspect_folder(root)
    assert report.imbalance == 50
    assert report.empty_classes == {"val": ["b", "c"]}
    text = "\n".join(report.warnings)
    assert "The largest class has 50 times the training images of the smallest" in text
    assert "Fewer than 10 training images: 'b'." in text
    assert "val has no image of 'b', 'c'" in text
    assert "Images are typically 16 x 8 pixels" in text


def test_no_validation_split_is_warned_of(make_folder):
    report = inspect_folder(make_folder({"a": 20, "b": 20}), val_fraction=0)
    assert any("There is no validation split" in sentence for sentence in report.warnings)


def test_data_with_another_error_is_not_said_to_lack_a_validation_split(make_folder):
    report = inspect_folder(make_folder({"a": 20, "b": 0}), val_fraction=0.2)
    assert report.errors
    assert not any("There is no validation split" in sentence for sentence in report.warnings)


def test_what_stops_training_is_reported_with_the_rest(make_folder):
    root = make_folder({"train/cat": 20, "train/dog": 0, "val/fox": 2, "val/cat": 2})
    (root / "train/cat/000.png").write_bytes(b"x")
    report = inspect_folder(root)
    assert len(report.errors) == 3
    assert report.fingerprint is None
    assert not any("There is no validation split" in sentence for sentence in report.warnings)
    assert report.splits["train"].per_class == {"cat": 20, "dog": 0}
    assert report.empty_classes["train"] == ["dog"]
    assert [image.name for image in report.corrupt] == ["train/cat/000.png"]


def test_settings_that_contradict_the_data_are_reported(make_folder):
    report = inspect_folder(make_folder({"a": 20, "b": 20}), max_per_class=(1, 2, 3))
    assert any("data.max_per_class: 3 numbers for 2 classes" in error for error in report.errors)


def test_data_that_cannot_be_read_at_all_raises(tmp_path):
    with pytest.raises(DataError, match="there is nothing at"):
        inspect(Parquet(path="nowhere"), folder=tmp_path)


def test_progress_counts_images_up_to_all():
    seen: list[tuple[int, int]] = []
    report = inspect(Digits(), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (1797, 1797)
    assert seen == sorted(set(seen))
    assert report.path is None
    assert report.modes == {"L": 1797}
