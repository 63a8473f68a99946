import gzip
import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import Idx
from modelyard.tasks.image_classification.data import open_data
from modelyard.tasks.image_classification.data.idx import parse_idx


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(root: Path, split: str, images: np.ndarray, labels: list[int], *, gz: bool = False) -> Path:
    root.mkdir(exist_ok=True)
    for kind, array in (("images-idx3", images), ("labels-idx1", np.array(labels, dtype=np.uint8))):
        content = idx_bytes(array)
        name = f"{split}-{kind}-ubyte{'.gz' if gz else ''}"
        (root / name).write_bytes(gzip.compress(content) if gz else content)
    return root


def images(count: int, size: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size), dtype=np.uint8)


ALTERNATING = [0, 1] * 10


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=3, max_dims=3, min_side=0, max_side=5)))
def test_what_was_written_is_read(array):
    assert np.array_equal(parse_idx(io.BytesIO(idx_bytes(array)), dimensions=3, name="x"), array)


@given(st.binary(max_size=64))
def test_any_bytes_are_an_array_or_a_data_error(content):
    try:
        array = parse_idx(io.BytesIO(content), dimensions=1, name="x")
    except DataError:
        return
    assert content == idx_bytes(array)


@given(arrays.arrays(np.uint8, (2, 3, 2)), st.integers(0, 27))
def test_every_truncation_is_found(array, length):
    with pytest.raises(DataError, match="x: "):
        parse_idx(io.BytesIO(idx_bytes(array)[:length]), dimensions=3, name="x")


def test_a_header_that_promises_terabytes_reserves_nothing():
    header = struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**16, 2**16)
    with pytest.raises(DataError, match=r"promises .* but there are only 3"):
        parse_idx(io.BytesIO(header + b"abc"), dimensions=3, name="x")


@pytest.mark.parametrize("gz", [False, True])
def test_plain_and_gzipped_files_give_the_same_data(tmp_path, gz):
    pixels, test_pixels = images(20), images(4, seed=1)
    write_idx(tmp_path, "train", pixels, ALTERNATING, gz=gz)
    write_idx(tmp_path, "t10k", test_pixels, [1, 0, 1, 0], gz=gz)
    data = open_data(Idx(path=str(tmp_path), val_fraction=0))
    assert data.classes == ("0", "1")
    assert (data.preprocessing.image_size, data.preprocessing.channels) == (6, 1)
    assert data.train.labels.tolist() == ALTERNATING
    assert np.array_equal(data.train.decode(3), pixels[3][None])
    assert data.test.labels.tolist() == [1, 0, 1, 0]
    assert np.array_equal(data.test.in_memory(np.array([2, 0])), test_pixels[[2, 0]][:, None])
    assert len(data.val) == 0


def test_a_plain_file_goes_before_its_gzipped_copy(tmp_path):
    write_idx(tmp_path, "train", images(20), ALTERNATING)
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"not gzip at all")
    assert len(open_data(Idx(path=str(tmp_path), val_fraction=0)).train) == 20


def test_classes_are_the_distinct_labels_of_train(tmp_path):
    write_idx(tmp_path, "train", images(4), [3, 26, 3, 26])
    data = open_data(Idx(path=str(tmp_path), val_fraction=0))
    assert data.classes == ("3", "26")
    assert data.train.labels.tolist() == [0, 1, 0, 1]


def test_grey_is_repeated_for_three_channels(tmp_path):
    pixels = images(20)
    write_idx(tmp_path, "train", pixels, ALTERNATING)
    data = open_data(Idx(path=str(tmp_path), val_fraction=0, channels=3))
    expected = np.repeat(pixels[:, None], 3, axis=1)
    assert np.array_equal(data.train.in_memory(np.arange(20)), expected)
    assert np.array_equal(data.train.decode(5), expected[5])


def break_magic(root):
    (root / "train-labels-idx1-ubyte").write_bytes(b"\x00\x00\x0d\x01\x00\x00\x00\x00")


def truncate(root):
    path = root / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])


def append(root):
    path = root / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes() + b"x")


def cut_gzip(root):
    path = root / "train-images-idx3-ubyte"
    (root / (path.name + ".gz")).write_bytes(gzip.compress(path.read_bytes())[:-20])
    path.unlink()


def drop_labels(root):
    (root / "train-labels-idx1-ubyte").unlink()


def fewer_labels(root):
    (root / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.array([0, 1], dtype=np.uint8)))


def second_set(root):
    os.link(root / "train-images-idx3-ubyte", root / "emnist-train-images-idx3-ubyte")


def unknown_test_label(root):
    write_idx(root, "t10k", images(2), [0, 7])


def empty_test(root):
    write_idx(root, "t10k", images(0), [])


def one_class(root):
    write_idx(root, "train", images(20), [4] * 20)


def leave(root):
    outside = root.parent / "outside"
    (root / "train-labels-idx1-ubyte").rename(outside)
    (root / "train-labels-idx1-ubyte").symlink_to(outside)


def remove_all(root):
    for path in root.iterdir():
        path.unlink()


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (break_magic, r"train-labels-idx1-ubyte: starts with 00000d01, not with IDX's 00000801"),
        (truncate, r"train-images-idx3-ubyte: its header promises 720 bytes but there are only 719"),
        (append, r"train-images-idx3-ubyte: its header promises 720 bytes but there are more"),
        (cut_gzip, r"train-images-idx3-ubyte.gz: cannot read the file"),
        (drop_labels, r"train-images-idx3-ubyte has no labels file"),
        (fewer_labels, r"has 20 images but .* has 2 labels"),
        (second_set, r"are both images of train; keep one"),
        (unknown_test_label, r"test labels: label 7 in row 1 is not among the 2 training classes"),
        (empty_test, r"the test split has no images"),
        (one_class, r"only one class \('4'\)"),
        (leave, r"leads out of the data set's folder"),
        (remove_all, r"has no train-images-idx3-ubyte"),
    ],
)
def test_bad_files_are_named(tmp_path, harm, message):
    root = write_idx(tmp_path / "idx", "train", images(20), ALTERNATING)
    harm(root)
    with pytest.raises(DataError, match=message):
        open_data(Idx(path=str(root)))
