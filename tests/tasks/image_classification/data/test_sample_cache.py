import threading
import timeit

import numpy as np
import pytest

from modelyard.domain.errors import DataError
from modelyard.domain.parts.data import Digits, ImageFolder
from modelyard.tasks.image_classification.data import SampleCache, open_data

SAMPLE_BYTES = 3 * 12 * 12


@pytest.fixture
def split(make_folder):
    return open_data(ImageFolder(path=str(make_folder({"a": 10, "b": 10})), val_fraction=0)).train


@pytest.fixture
def open_cache():
    """Make caches whose threads end with the test."""
    caches = []

    def make(split, limit_bytes):
        caches.append(SampleCache(split, limit_bytes))
        return caches[-1]

    yield make
    for cache in caches:
        cache.close()


def expected(split, indices):
    return np.stack([split.decode(int(index)) for index in indices])


def test_each_sample_is_decoded_once_while_it_fits(split, open_cache):
    cache = open_cache(split, 20 * SAMPLE_BYTES)
    rng = np.random.default_rng(0)
    for _ in range(3):
        for indices in np.split(rng.permutation(20), 4):
            assert np.array_equal(cache.batch(indices), expected(split, indices))
    assert cache.decoded == 20
    assert cache.used_bytes == 20 * SAMPLE_BYTES


def test_what_does_not_fit_is_decoded_each_time(split, open_cache):
    cache = open_cache(split, 5 * SAMPLE_BYTES + 1)
    everything = np.arange(20)
    for _ in range(3):
        assert np.array_equal(cache.batch(everything), expected(split, everything))
    assert cache.used_bytes == 5 * SAMPLE_BYTES
    assert cache.decoded == 20 + 15 + 15


def test_a_limit_of_zero_keeps_nothing(split, open_cache):
    cache = open_cache(split, 0)
    cache.batch(np.array([1]))
    cache.batch(np.array([1]))
    assert (cache.decoded, cache.used_bytes) == (2, 0)


def test_repeated_and_no_indices(split, open_cache):
    cache = open_cache(split, 2**20)
    assert np.array_equal(cache.batch(np.array([3, 3, 0, 3])), expected(split, [3, 3, 0, 3]))
    assert cache.decoded == 2
    assert cache.batch(np.array([], dtype=np.int64)).shape == (0, 3, 12, 12)


def test_batches_can_be_written_to_without_harm(split, open_cache):
    cache = open_cache(split, 2**20)
    indices = np.arange(4)
    for _ in range(2):
        cache.batch(indices)[:] = 0
    assert np.array_equal(cache.batch(indices), expected(split, indices))


def test_threads_that_want_the_same_sample_decode_it_once(split, open_cache, monkeypatch):
    cache = open_cache(split, 2**20)
    decode, started, go = split.decode, threading.Event(), threading.Event()

    def slow(index):
        started.set()
        assert go.wait(10)
        return decode(index)

    monkeypatch.setattr(split, "decode", slow)
    results: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda at=at: results.update({at: cache.batch(np.arange(at, at + 10))}))
        for at in (0, 5, 0, 10)
    ]
    for thread in threads:
        thread.start()
    assert started.wait(10)
    go.set()
    for thread in threads:
        thread.join(10)
    monkeypatch.undo()
    assert cache.decoded == 20
    assert all(np.array_equal(batch, expected(split, range(at, at + 10))) for at, batch in results.items())


def test_many_threads_under_a_small_limit_get_the_right_pixels(split, open_cache):
    cache = open_cache(split, 7 * SAMPLE_BYTES)
    wanted = expected(split, range(20))
    wrong: list[int] = []

    def work(seed):
        rng = np.random.default_rng(seed)
        for _ in range(30):
            indices = rng.integers(0, 20, 6)
            if not np.array_equal(cache.batch(indices), wanted[indices]):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong
    assert cache.used_bytes == 7 * SAMPLE_BYTES


def test_a_corrupt_image_is_named_and_the_rest_still_served(make_folder, open_cache):
    root = make_folder({"a": 4, "b": 4})
    (root / "a/002.png").write_bytes(b"not an image")
    split = open_data(ImageFolder(path=str(root), val_fraction=0)).train
    cache = open_cache(split, 2**20)
    for _ in range(2):
        with pytest.raises(DataError, match=r"^a/002.png: "):
            cache.batch(np.arange(8))
    good = np.array([0, 1, 3, 4, 5, 6, 7])
    assert np.array_equal(cache.batch(good), expected(split, good))


def test_a_closed_cache_can_still_be_used(split, open_cache):
    cache = open_cache(split, 2**20)
    cache.batch(np.arange(3))
    cache.close()
    assert cache.batch(np.arange(6)).shape == (6, 3, 12, 12)


def test_pixels_in_memory_are_not_decoded_and_cost_little(open_cache):
    split = open_data(Digits()).train
    cache = open_cache(split, 0)
    indices = np.random.default_rng(0).permutation(len(split))[:64]
    assert np.array_equal(cache.batch(indices), expected(split, indices))
    assert cache.decoded == 0
    pixels = np.zeros((1797, 1, 8, 8), np.uint8)
    plain = min(timeit.repeat(lambda: pixels[indices], number=200, repeat=7)) / 200
    ours = min(timeit.repeat(lambda: cache.batch(indices), number=200, repeat=7)) / 200
    assert ours - plain < 20e-6


def test_pixels_in_memory_of_another_size_are_decoded_once(open_cache):
    split = open_data(Digits(image_size=16)).train
    cache = open_cache(split, 2**20)
    indices = np.arange(50)
    for _ in range(2):
        assert cache.batch(indices).shape == (50, 1, 16, 16)
    assert cache.decoded == 50
