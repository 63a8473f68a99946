import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from modelyard.domain.errors import ConfigError, DataError
from modelyard.tasks.image_classification.data.splits import draw_splits, limit_per_class


def draw(labels, *, val=0.2, test=0.0, stratify=True, seed=0):
    labels = np.asarray(labels, dtype=np.int64)
    classes = [f"class-{label}" for label in range(int(labels.max()) + 1)]
    return draw_splits(labels, classes=classes, fractions={"val": val, "test": test}, stratify=stratify, seed=seed)


@st.composite
def labelled(draw_value):
    counts = draw_value(st.lists(st.integers(1, 30), min_size=2, max_size=6))
    labels = np.repeat(np.arange(len(counts)), counts)
    return draw_value(st.permutations(labels.tolist()))


@given(labelled(), st.floats(0, 0.6), st.floats(0, 0.39), st.booleans(), st.integers(0, 2**32 - 1))
def test_splits_are_a_partition_and_leave_every_class_in_train(labels, val, test, stratify, seed):
    try:
        splits = draw(labels, val=val, test=test, stratify=stratify, seed=seed)
    except DataError:
        assume(False)
    together = np.concatenate(list(splits.values()))
    assert sorted(together.tolist()) == list(range(len(labels)))
    assert set(np.asarray(labels)[splits["train"]]) == set(labels)
    assert ("val" in splits) == (val > 0)
    assert ("test" in splits) == (test > 0)
    assert all(len(positions) for positions in splits.values())
    assert all((np.diff(positions) > 0).all() for positions in splits.values())


@given(labelled(), st.integers(0, 2**32 - 1))
def test_stratified_shares_are_within_one_sample_of_each_class(labels, seed):
    assume(min(np.bincount(labels)) >= 2)
    splits = draw(labels, val=0.3, seed=seed)
    counts = np.bincount(labels)
    in_val = np.bincount(np.asarray(labels)[splits["val"]], minlength=len(counts))
    assert (np.abs(in_val - 0.3 * counts) < 1).all()


def test_sizes_are_the_fractions_of_all_samples():
    splits = draw(np.arange(1000) % 10, val=0.2, test=0.1)
    assert {name: len(positions) for name, positions in splits.items()} == {"train": 700, "val": 200, "test": 100}


def test_the_draw_is_fixed_for_ever():
    # A change of these numbers would move samples between train and val of every data set that exists.
    splits = draw([0, 1] * 6, val=0.25, test=0.25, seed=7)
    assert splits["val"].tolist() == [0, 10, 11]
    assert splits["test"].tolist() == [3, 4, 6]


def test_the_seed_and_stratify_change_the_draw():
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    assert draw(labels, seed=0)["val"].tolist() != draw(labels, seed=1)["val"].tolist()
    assert draw(labels, stratify=True)["val"].tolist() != draw(labels, stratify=False)["val"].tolist()


def test_the_test_split_does_not_depend_on_val_fraction():
    labels = np.arange(200) % 4
    assert draw(labels, val=0.1, test=0.2)["test"].tolist() == draw(labels, val=0.5, test=0.2)["test"].tolist()


@pytest.mark.parametrize("stratify", [True, False])
def test_a_split_that_gets_nothing_names_the_class(stratify):
    with pytest.raises(DataError, match=r"val_fraction: 0.2 of 2 images leaves none for val.*'class-0' has 1"):
        draw([0, 1], stratify=stratify)


def test_max_per_class_keeps_at_most_that_many_and_grows_by_adding():
    labels = np.repeat([0, 1], [50, 5])
    few = limit_per_class(labels, classes=["a", "b"], limit=3, seed=1)
    many = limit_per_class(labels, classes=["a", "b"], limit=10, seed=1)
    assert np.bincount(labels[few]).tolist() == [3, 3]
    assert np.bincount(labels[many]).tolist() == [10, 5]
    assert set(few) <= set(many)
    other_seed = limit_per_class(labels, classes=["a", "b"], limit=3, seed=2)
    assert other_seed.tolist() != few.tolist()


def test_max_per_class_as_a_list_follows_label_order():
    labels = np.repeat([0, 1], [50, 50])
    kept = limit_per_class(labels, classes=["a", "b"], limit=(1, 20), seed=0)
    assert np.bincount(labels[kept]).tolist() == [1, 20]


def test_max_per_class_of_the_wrong_length_is_a_config_error():
    with pytest.raises(ConfigError, match=r"data.max_per_class: 3 numbers for 2 classes.*order a, b"):
        limit_per_class(np.array([0, 1]), classes=["a", "b"], limit=(1, 2, 3), seed=0)
