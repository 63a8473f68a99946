import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.domain.errors import ConfigError, DataError
from modelyard.domain.parts.data import Parquet
from modelyard.tasks.image_classification.data import open_data, parquet
from modelyard.tasks.preprocessing import Preprocessing, load_image

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
CLASS_LABEL = {"info": {"features": {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}}}


@pytest.fixture
def write(tmp_path, png):
    """Write a file with one image for each label; returns its folder."""

    def write(name, labels, *, images=None, image_type=None, features=None, columns=("image", "label")):
        encoded = [png(f"{name}/{row}") for row in range(len(labels))] if images is None else images
        table = pa.table({columns[0]: pa.array(encoded, image_type or pa.binary()), columns[1]: pa.array(labels)})
        metadata = {b"huggingface": json.dumps(features).encode()} if features else {}
        pq.write_table(table.replace_schema_metadata(metadata), tmp_path / name, row_group_size=3)
        return tmp_path

    return write


def open_all(root, **fields):
    return open_data(Parquet(path=str(root), val_fraction=0, **fields))


def test_split_files_and_shards_in_order_of_name(write, png):
    write("train-00001-of-00002.parquet", ["dog", "dog"])
    write("train-00000-of-00002.parquet", ["cat", "dog", "cat", "dog"])
    write("validation.parquet", ["dog"])
    root = write("test-0.parquet", ["cat", "cat"])
    data = open_all(root)
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 1, 0, 1, 1, 1]
    assert (data.val.labels.tolist(), data.test.labels.tolist()) == ([1], [0, 0])
    assert data.train.name(4) == "train#4"


def test_pixels_come_from_the_right_row(write, png):
    root = write("train.parquet", [0, 1] * 5)
    data = open_all(root)
    wanted = Preprocessing(image_size=12, channels=3, mean=(0.5,) * 3, std=(0.5,) * 3)
    for row in range(10):
        path = root / f"{row}.png"
        path.write_bytes(png(f"train.parquet/{row}"))
        assert np.array_equal(data.train.decode(row), load_image(path, wanted))


def test_one_file_is_training_data(write):
    root = write("photos.parquet", [0, 1] * 10)
    data = open_data(Parquet(path=str(root / "photos.parquet"), val_fraction=0.2))
    assert (len(data.train), len(data.val)) == (16, 4)


def test_hugging_face_structs_and_class_names(write, png):
    images = [{"bytes": png("a"), "path": None}, {"bytes": png("b"), "path": "b.png"}]
    root = write("train.parquet", [1, 0], images=images, image_type=STRUCT, features=CLASS_LABEL)
    data = open_all(root)
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [1, 0]
    assert data.train.decode(1).shape == (3, 12, 12)


@pytest.mark.parametrize("image_type", [pa.string(), STRUCT])
def test_paths_are_read_beside_the_file(write, make_folder, image_type):
    make_folder({"files": 2}, name=".")
    paths = ["files/000.png", "files/001.png"]
    images = [{"bytes": None, "path": path} for path in paths] if image_type == STRUCT else paths
    root = write("train.parquet", [0, 1], images=images, image_type=image_type)
    assert open_all(root).train.decode(1).shape == (3, 12, 12)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "files/../../secret.png"])
def test_paths_that_leave_the_folder_are_refused(write, path):
    root = write("train.parquet", [0, 1], images=[path, path], image_type=pa.string())
    with pytest.raises(DataError, match=r"train#0: .* leads out of the data set's folder"):
        open_all(root)


def test_names_of_columns_are_fields(write):
    root = write("train.parquet", [0, 1], columns=("img", "digit"))
    assert open_all(root, image_column="img", label_column="digit").classes == ("0", "1")
    with pytest.raises(DataError, match=r"data.image_column: train.parquet has no column 'image'; did you mean 'img'"):
        open_all(root, label_column="digit")
    with pytest.raises(DataError, match=r"data.label_column: .* no column 'digits'; did you mean 'digit'"):
        open_all(root, image_column="img", label_column="digits")
    with pytest.raises(ConfigError, match="is the image column already"):
        open_all(root, image_column="img", label_column="img")


@pytest.mark.parametrize(
    ("labels", "features", "message"),
    [
        ([0, 1, -1], None, r"train 'label': negative label -1 in row 2"),
        ([0, 1, 2], CLASS_LABEL, r"label 2 in row 2 is not among the 2 training classes"),
        ([0.0, 1.0, float("nan")], None, r"label nan in row 2"),
        ([0.0, 1.0, 0.5], None, r"label 0.5, which is not a whole number, in row 2"),
        ([0, 1, None], None, r"missing label in row 2"),
        (["a", "b", ""], None, r"missing label in row 2"),
        ([[0], [1], [2]], None, r"label of type list in rows 0, 1, 2"),
        ([0, 0, 0], CLASS_LABEL, r"class 'dog' has no training images"),
        ([5, 5, 5], None, r"only one class \('5'\)"),
        (np.array([], np.int64), None, r"the train split has no images"),
    ],
)
def test_bad_labels_are_named(write, labels, features, message):
    root = write("train.parquet", labels, features=features)
    with pytest.raises(DataError, match=message):
        open_all(root)


def test_whole_floats_and_string_labels_of_a_class_label_are_labels(write):
    assert open_all(write("train.parquet", [2.0, 0.0])).classes == ("0", "2")
    data = open_all(write("train.parquet", ["dog", "cat"], features=CLASS_LABEL))
    assert data.train.labels.tolist() == [1, 0]


def test_integers_sort_as_numbers(write):
    assert open_all(write("train.parquet", [10, 9, 2])).classes == ("2", "9", "10")


def test_a_class_that_only_val_has_is_named(write):
    write("train.parquet", ["cat", "dog"])
    root = write("val.parquet", ["cat", "fox"])
    with pytest.raises(DataError, match=r"val 'label': label 'fox' in row 1 is not among the 2 training classes"):
        open_all(root)


def test_an_empty_val_file_is_named(write):
    write("train.parquet", ["cat", "dog"])
    root = write("val.parquet", pa.array([], pa.string()))
    with pytest.raises(DataError, match="the val split has no images"):
        open_all(root)


def test_a_row_without_an_image_is_named(write, png):
    root = write("train.parquet", [0, 1, 1], images=[png("a"), None, png("b")])
    with pytest.raises(DataError, match=r"train#1: there is no image in this row"):
        open_all(root)


def test_a_column_of_another_type_is_refused(write):
    root = write("train.parquet", [0, 1], images=[1.0, 2.0], image_type=pa.float64())
    with pytest.raises(DataError, match="holds double; expected encoded images"):
        open_all(root)


def test_damaged_and_missing_files_are_named(write, tmp_path):
    write("val.parquet", [0, 1])
    with pytest.raises(DataError, match=r"has no train\*.parquet \(it has val.parquet\)"):
        open_all(tmp_path)
    path = write("train.parquet", [0, 1]) / "train.parquet"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"train.parquet: cannot read the file"):
        open_all(tmp_path)


def test_shards_with_different_columns_are_refused(write):
    write("train-0.parquet", [0, 1])
    root = write("train-1.parquet", ["a", "b"])
    with pytest.raises(DataError, match=r"train-1.parquet or a shard before it"):
        open_all(root)


def test_a_large_file_is_mapped_and_gives_the_same_data(write, monkeypatch):
    root = write("train.parquet", [0, 1] * 20)
    held = open_all(root)
    monkeypatch.setattr(parquet, "_HELD_IN_MEMORY", 0)
    mapped = open_all(root)
    assert mapped.fingerprint == held.fingerprint
    assert np.array_equal(mapped.train.decode(39), held.train.decode(39))
