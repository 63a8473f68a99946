"""Every field of every data config changes what is opened; a field without a case here fails the last test."""

from typing import get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.data import DataConfig, Digits, HuggingFaceDataset, Idx, ImageFolder, Parquet
from modelyard.tasks.image_classification.data import SampleCache, open_data
from modelyard.tasks.preprocessing import Preprocessing

SOURCES = get_args(get_args(DataConfig)[0])


def describe(config, **options):
    """Everything of an opened data set that a run could see."""
    data = open_data(config, **options)
    cache = SampleCache(data.train, config.cache_mebibytes * 2**20)
    for _ in range(2):
        cache.batch(np.arange(len(data.train)))
    cache.close()
    return {
        "preprocessing": data.preprocessing.to_json(),
        "train": [data.train.name(index) for index in range(len(data.train))],
        "val": [data.val.name(index) for index in range(len(data.val))],
        "test": [data.test.name(index) for index in range(len(data.test))],
        "labels": data.train.labels.tolist(),
        "decoded": cache.decoded,
        "fingerprint": data.fingerprint,
    }


# What each common field is changed to, and what of the opened data set that must change.
COMMON = {
    "image_size": (20, {"preprocessing"}),
    "channels": (1, {"preprocessing"}),
    "mean": ((0.1, 0.2, 0.3), {"preprocessing"}),
    "std": ((0.1, 0.2, 0.3), {"preprocessing"}),
    "val_fraction": (0.4, {"train", "val", "fingerprint"}),
    "test_fraction": (0.4, {"train", "test", "fingerprint"}),
    "stratify": (False, {"train", "val", "fingerprint"}),
    "split_seed": (1, {"train", "val", "fingerprint"}),
    "max_per_class": (2, {"train", "labels", "fingerprint"}),
    "cache_mebibytes": (0, {"decoded"}),
}
PAIRED = {"mean": {"std": (0.5, 0.5, 0.5)}, "std": {"mean": (0.5, 0.5, 0.5)}}
# Fields of single sources: the test that shows what they do.
ELSEWHERE = {
    (Parquet, "image_column"): "test_parquet_source.test_names_of_columns_are_fields",
    (Parquet, "label_column"): "test_parquet_source.test_names_of_columns_are_fields",
    (HuggingFaceDataset, "image_column"): "test_a_source_reads_its_path_and_columns",
    (HuggingFaceDataset, "label_column"): "test_a_source_reads_its_path_and_columns",
    **{(source, "path"): "test_a_source_reads_its_path_and_columns" for source in SOURCES if source is not Digits},
    **{(source, "source"): "test_a_source_reads_its_path_and_columns" for source in SOURCES},
}


@pytest.mark.parametrize("field", COMMON)
def test_a_common_field_changes_what_is_opened(make_folder, field):
    root = make_folder({"a": 30, "b": 11, "c": 5})
    value, expected = COMMON[field]
    before = describe(ImageFolder(path=str(root)))
    after = describe(ImageFolder(path=str(root), **{field: value}, **PAIRED.get(field, {})))
    changed = {name for name in before if before[name] != after[name]}
    assert expected <= changed
    if expected == {"preprocessing"}:
        name = "mean" if field == "mean" else field
        assert after["preprocessing"][name] == (list(value) if isinstance(value, tuple) else value)


def test_every_field_has_a_case():
    cases = {(source, name) for source in SOURCES for name in COMMON} | set(ELSEWHERE)
    assert {(source, name) for source in SOURCES for name in source.model_fields} == cases


def test_a_source_reads_its_path_and_columns(make_folder, png, tmp_path):
    import datasets

    for name in ("one", "two"):
        folder = tmp_path / name
        make_folder({f"images/{name}-a": 3, f"images/{name}-b": 3}, name=name)
        labels, images = [f"{name}-a", f"{name}-b"], [png("x"), png("y")]
        pq.write_table(pa.table({"image": images, "label": labels}), folder / "data.parquet")
        columns = {"img": [{"bytes": image, "path": None} for image in images], "kind": labels}
        features = datasets.Features({"img": datasets.Image(), "kind": datasets.Value("string")})
        datasets.Dataset.from_dict(columns, features=features).save_to_disk(folder / "saved")
    for name in ("one", "two"):
        folder, wanted = tmp_path / name, (f"{name}-a", f"{name}-b")
        configs = [
            ImageFolder(path="images"),
            Parquet(path="data.parquet", val_fraction=0),
            HuggingFaceDataset(path="saved", image_column="img", label_column="kind", val_fraction=0),
        ]
        assert [open_data(config, folder=folder).classes for config in configs] == [wanted] * 3


def test_digits_have_a_test_split_by_default():
    data = open_data(Digits())
    assert (len(data.train), len(data.val), len(data.test)) == (1258, 359, 180)
    assert data.preprocessing == Preprocessing(image_size=8, channels=1, mean=(0.5,), std=(0.5,))
    assert max(data.train.decode(index).max() for index in range(100)) == 255


def test_max_per_class_as_a_list(make_folder):
    root = make_folder({"a": 30, "b": 11, "c": 5})
    config = ImageFolder(path=str(root), max_per_class=(7, 100, 1), val_fraction=0)
    assert open_data(config).train.class_counts == (7, 11, 1)


def test_max_per_class_leaves_val_and_test_alone(make_folder):
    root = make_folder({"a": 30, "b": 30})
    whole = open_data(ImageFolder(path=str(root), test_fraction=0.1))
    limited = open_data(ImageFolder(path=str(root), test_fraction=0.1, max_per_class=3))
    for before, after in ((whole.val, limited.val), (whole.test, limited.test)):
        assert [before.name(at) for at in range(len(before))] == [after.name(at) for at in range(len(after))]


def test_mean_and_std_must_fit_the_channels(make_folder):
    root = str(make_folder({"a": 3, "b": 3}))
    with pytest.raises(ConfigError, match=r"data.mean: 1 value\(s\) for 3 channel\(s\)"):
        open_data(ImageFolder(path=root, mean=(0.5,), std=(0.5, 0.5, 0.5)))
    with pytest.raises(ConfigError, match=r"data.std: 3 value\(s\) for 1 channel\(s\)"):
        open_data(ImageFolder(path=root, channels=1, mean=(0.5,), std=(0.5, 0.5, 0.5)))


def test_a_pretrained_model_decides_what_the_config_leaves_open(make_folder):
    root = str(make_folder({"a": 3, "b": 3}))
    wanted = Preprocessing(image_size=32, channels=3, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert open_data(ImageFolder(path=root), defaults=wanted).preprocessing == wanted
    sized = open_data(ImageFolder(path=root, image_size=48), defaults=wanted).preprocessing
    assert (sized.image_size, sized.mean) == (48, wanted.mean)
    grey = open_data(ImageFolder(path=root, channels=1), defaults=wanted).preprocessing
    assert (grey.channels, grey.mean) == (1, (0.5,))


def test_mnist_files_have_no_fields_of_their_own():
    assert set(Idx.model_fields) - set(Digits.model_fields) == {"path"}
