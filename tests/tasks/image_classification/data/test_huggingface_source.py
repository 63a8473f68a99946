import json

import datasets
import numpy as np
import pytest
from PIL import Image

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import HuggingFaceDataset
from modelyard.tasks.image_classification.data import open_data

FEATURES = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog"])})


@pytest.fixture
def saved(tmp_path):
    """Save splits of generated images with the given labels; returns the folder."""
    datasets.disable_progress_bars()

    def dataset(labels, features, start):
        pixels = [np.full((10, 10, 3), start + 7 * row, np.uint8) for row in range(len(labels))]
        return datasets.Dataset.from_dict(
            {"image": [Image.fromarray(array) for array in pixels], "label": labels}, features=features
        )

    def save(splits, features=FEATURES):
        if isinstance(splits, dict):
            parts = {name: dataset(labels, features, 40 * at) for at, (name, labels) in enumerate(splits.items())}
            datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
        else:
            dataset(splits, features, 0).save_to_disk(tmp_path / "saved")
        return tmp_path / "saved"

    return save


def open_all(root, **fields):
    return open_data(HuggingFaceDataset(path=str(root), val_fraction=0, **fields))


def test_a_dataset_dict_keeps_its_splits_and_names(saved):
    data = open_all(saved({"train": [1, 0, 1], "validation": [0, 0], "test": [1]}))
    assert data.classes == ("cat", "dog")
    assert (data.train.labels.tolist(), data.val.labels.tolist(), data.test.labels.tolist()) == ([1, 0, 1], [0, 0], [1])
    assert (data.train.decode(2) == 14).all()
    assert (data.val.decode(1) == 47).all()


def test_a_single_dataset_is_training_data(saved):
    data = open_data(HuggingFaceDataset(path=str(saved([0, 1] * 10)), val_fraction=0.2))
    assert (len(data.train), len(data.val)) == (16, 4)


def test_string_labels(saved):
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    assert open_all(saved(["b", "a"], features)).train.labels.tolist() == [1, 0]


def test_a_selection_is_saved_and_read_as_such(tmp_path):
    pixels = [Image.fromarray(np.full((10, 10), 7 * row, np.uint8)) for row in range(6)]
    whole = datasets.Dataset.from_dict({"image": pixels, "label": [0, 1] * 3}, features=FEATURES)
    whole.select([5, 2]).save_to_disk(tmp_path / "selected")
    data = open_all(tmp_path / "selected")
    assert data.train.labels.tolist() == [1, 0]
    assert (data.train.decode(0) == 35).all()


def test_unlabelled_rows_and_wrong_columns_are_named(saved):
    root = saved({"train": [0, 1], "test": [0, -1]})
    with pytest.raises(DataError, match=r"test 'label': negative label -1 in row 1"):
        open_all(root)
    with pytest.raises(DataError, match=r"data.label_column: split train has no column 'labels'; did you mean 'label'"):
        open_all(root, label_column="labels")
    with pytest.raises(DataError, match=r"column 'label' of split train holds int64; expected encoded images"):
        open_all(root, image_column="label", label_column="image")


def test_a_dict_without_train_is_refused(saved):
    with pytest.raises(DataError, match=r"no split named train \(it has validation, extra\)"):
        open_all(saved({"validation": [0, 1], "extra": [0, 1]}))


def test_other_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match="must be one that save_to_disk wrote"):
        open_all(tmp_path)


def test_file_lists_and_links_that_leave_the_folder_are_refused(saved, tmp_path):
    root = saved([0, 1])
    state = root / "state.json"
    content = json.loads(state.read_text())
    [file] = content["_data_files"]
    (root / file["filename"]).rename(tmp_path / "outside.arrow")
    (root / file["filename"]).symlink_to(tmp_path / "outside.arrow")
    with pytest.raises(DataError, match="leads out of the data set's folder"):
        open_all(root)
    file["filename"] = "../outside.arrow"
    state.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"outside.arrow leads out of the data set's folder"):
        open_all(root)
    state.rename(tmp_path / "state.json")
    state.symlink_to(tmp_path / "state.json")
    with pytest.raises(DataError, match=r"saved/state.json leads out"):
        open_all(root)
    state.unlink()
    state.write_text("[]")
    with pytest.raises(DataError, match="not a state file of datasets"):
        open_all(root)


def test_image_paths_that_leave_the_folder_are_refused(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "secret.png")
    rows = {"image": [{"path": "../secret.png", "bytes": None}] * 2, "label": [0, 1]}
    storage = datasets.Features({"image": {"path": datasets.Value("string"), "bytes": datasets.Value("binary")}})
    features = datasets.Features({**storage, "label": FEATURES["label"]})
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=r"train#0: .* leads out of the data set's folder"):
        open_all(tmp_path / "saved")
