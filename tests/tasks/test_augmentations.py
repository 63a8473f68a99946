"""What every augmentation promises, and what each of them does."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from modelyard.domain.parts.augmentations import (
    PRESETS,
    Affine,
    Augmentation,
    Blur,
    ColorJitter,
    CutMix,
    Erasing,
    HorizontalFlip,
    Mixup,
    Noise,
    Perspective,
    Rotation,
    VerticalFlip,
)
from modelyard.tasks.augmentations import AUGMENTATIONS, build_augmenter
from modelyard.tasks.augmentations.color import keyed_normal
from modelyard.tasks.augmentations.geometry import inverse_affine
from modelyard.tasks.augmentations.random_numbers import Draws, KeyedRandom, symmetric_beta

EVERY = [config() for config in AUGMENTATIONS.entries()]
MIXING = (Mixup, CutMix)
ALONE = [config for config in EVERY if not isinstance(config, MIXING)]


def pictures(count: int, channels: int = 3, size: int = 12) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(count))


def augmented(
    configs: Any, images: Tensor, *, seed: int = 0, epoch: int = 0, samples: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    augmenter = build_augmenter(configs if isinstance(configs, tuple) else (configs,), seed=seed)
    assert augmenter is not None
    numbers = torch.arange(len(images)) if samples is None else samples
    return augmenter(images, numbers % 3, classes=3, epoch=epoch, samples=numbers)


@pytest.mark.parametrize("config", ALONE, ids=lambda config: config.name)
@pytest.mark.parametrize("channels", [1, 3])
@given(rows=st.lists(st.integers(0, 29), min_size=1, max_size=30), size=st.sampled_from([8, 9, 17]))
def test_a_sample_gets_the_same_pixels_in_any_company(
    config: Augmentation, channels: int, rows: list[int], size: int
) -> None:
    images = pictures(30, channels, size)
    samples = torch.arange(30) * 7
    together, _ = augmented(config, images, epoch=2, samples=samples)
    apart, _ = augmented(config, images[rows], epoch=2, samples=samples[rows])
    assert torch.equal(apart, together[rows])


@pytest.mark.parametrize("config", EVERY, ids=lambda config: config.name)
def test_every_part_of_the_key_matters_and_nothing_else(config: Augmentation) -> None:
    images = pictures(16)
    torch.manual_seed(1)
    first, _ = augmented(config, images)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    np_state = np.random.get_state()[1].copy()
    again, _ = augmented(config, images)
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], np_state)
    assert not torch.equal(first, augmented(config, images, seed=1)[0])
    assert not torch.equal(first, augmented(config, images, epoch=1)[0])
    assert not torch.equal(first, augmented(config, images, samples=torch.arange(16) + 16)[0])


@pytest.mark.parametrize("config", EVERY, ids=lambda config: config.name)
def test_pixels_stay_in_range_and_the_input_as_it_is(config: Augmentation) -> None:
    images = pictures(16)
    before = images.clone()
    changed, targets = augmented(config, images)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert changed.min() >= 0
    assert changed.max() <= 1 + 1e-6
    assert not torch.equal(changed, before)
    assert torch.equal(images, before)
    assert targets.shape == ((16, 3) if isinstance(config, MIXING) else (16,))


@pytest.mark.parametrize("config", EVERY, ids=lambda config: config.name)
def test_probability_is_the_share_of_samples(config: Augmentation) -> None:
    images = pictures(400, size=8)
    for probability, low, high in ((0.0, 0, 0), (0.25, 70, 130), (1.0, 390, 400)):
        changed, _ = augmented(config.model_copy(update={"probability": probability}), images)
        differing = int((changed != images).flatten(1).any(dim=1).sum())
        assert low <= differing <= high
    unchanged, _ = augmented(config.model_copy(update={"probability": 0.0}), images)
    assert unchanged is images, "what selects nobody must cost nothing"


@pytest.mark.parametrize("config", EVERY, ids=lambda config: config.name)
def test_deterministic_mode_allows_it(config: Augmentation) -> None:
    torch.use_deterministic_algorithms(True)
    try:
        augmented(config, pictures(8))
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_same_operation_twice_draws_twice() -> None:
    images = pictures(8)
    once, _ = augmented(Rotation(probability=1.0), images)
    twice, _ = augmented((Rotation(probability=1.0), Rotation(probability=1.0)), images)
    again, _ = augmented(Rotation(probability=1.0), once)
    assert not torch.allclose(twice, again, atol=1e-3)


def test_presets_build() -> None:
    for name, configs in PRESETS.items():
        if configs:
            changed, _ = augmented(configs, pictures(8, channels=1, size=8))
            assert torch.isfinite(changed).all(), name
    assert build_augmenter((), seed=0) is None


def test_flips() -> None:
    images = pictures(4)
    assert torch.equal(augmented(HorizontalFlip(probability=1.0), images)[0], images.flip(3))
    assert torch.equal(augmented(VerticalFlip(probability=1.0), images)[0], images.flip(2))


def blob(count: int, size: int = 33) -> Tensor:
    """A dot to the right of the centre; its centre of mass tells what a warp did."""
    images = torch.zeros(count, 1, size, size)
    images[:, :, size // 2 - 1 : size // 2 + 2, size - 10 : size - 7] = 1
    return images


def centre_of_mass(images: Tensor) -> tuple[Tensor, Tensor]:
    side = images.shape[3]
    places = (torch.arange(side) * 2 + 1) / side - 1
    mass = images.sum(dim=(1, 2, 3))
    return (images.sum(dim=(1, 2)) * places).sum(1) / mass, (images.sum(dim=(1, 3)) * places).sum(1) / mass


def test_rotation_turns_by_up_to_the_angle_and_keeps_the_radius() -> None:
    images = blob(200)
    turned, _ = augmented(Rotation(degrees=40, probability=1.0), images)
    x, y = centre_of_mass(turned)
    start, _ = centre_of_mass(images)
    angles = torch.atan2(y, x).rad2deg()
    assert torch.allclose((x**2 + y**2).sqrt(), start, atol=0.02)
    assert angles.abs().max() <= 41
    assert angles.max() > 30
    assert angles.min() < -30


@pytest.mark.parametrize(
    ("config", "low", "high", "axis"),
    [
        (Affine(degrees=0, translate=0.1, scale=0, probability=1.0), -0.2, 0.2, 0),
        (Affine(degrees=0, translate=0.1, scale=0, probability=1.0), -0.2, 0.2, 1),
        (Affine(degrees=0, translate=0, scale=0.2, probability=1.0), -0.2 * 0.485, 0.2 * 0.485, 0),
    ],
)
def test_affine_moves_as_far_as_it_says(config: Affine, low: float, high: float, axis: int) -> None:
    images = blob(300)
    moves = (centre_of_mass(augmented(config, images)[0])[axis] - centre_of_mass(images)[axis]).tolist()
    assert low - 0.02 < min(moves) < 0.8 * low
    assert 0.8 * high < max(moves) < high + 0.02


def test_the_inverse_of_an_affine_map_with_everything_in_it() -> None:
    angle, scale, shear, shift_x, shift_y = 0.4, 1.2, 0.3, 0.1, -0.25
    cos, sin = np.cos(angle), np.sin(angle)
    moved = np.array([[1, 0, shift_x], [0, 1, shift_y], [0, 0, 1]])
    turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]) * [scale, scale, 1]
    sheared = np.array([[1, shear, 0], [0, 1, 0], [0, 0, 1]])
    [inverse] = inverse_affine(
        np.array([angle]), scale=np.array([scale]), shear=shear, shift_x=shift_x, shift_y=shift_y
    )
    assert inverse == pytest.approx(np.linalg.inv(moved @ turned @ sheared)[:2])


def test_shear_moves_rows_and_not_columns() -> None:
    images = blob(200).transpose(2, 3)
    sheared, _ = augmented(Affine(degrees=0, translate=0, scale=0, shear=20, probability=1.0), images)
    x, y = centre_of_mass(sheared)
    _, height = centre_of_mass(images)
    assert torch.allclose(y, height, atol=0.02)
    assert x.abs().max() == pytest.approx(height[0].item() * np.tan(np.radians(20)), abs=0.03)


def test_perspective_keeps_the_middle_and_clears_the_edges() -> None:
    changed, _ = augmented(Perspective(distortion=0.5, probability=1.0), torch.ones(200, 1, 33, 33))
    assert torch.allclose(changed[:, 0, 16, 16], torch.ones(200))
    assert (changed[:, 0, 0, 0] == 0).float().mean() > 0.5
    assert torch.isfinite(augmented(Perspective(distortion=1.0, probability=1.0), pictures(64))[0]).all()


def test_color_jitter_leaves_grey_images_grey() -> None:
    grey = pictures(8, channels=1).expand(-1, 3, -1, -1).contiguous()
    changed, _ = augmented(ColorJitter(saturation=0.9, hue=0.5), grey)
    assert torch.allclose(changed[:, 0], changed[:, 1], atol=1e-5)
    assert torch.allclose(changed[:, 0], changed[:, 2], atol=1e-5)


def test_hue_turns_red_into_its_neighbours() -> None:
    red = torch.zeros(100, 3, 2, 2)
    red[:, 0] = 1
    changed, _ = augmented(ColorJitter(brightness=0, contrast=0, saturation=0, hue=1 / 6), red)
    assert torch.allclose(changed.amax(dim=1), torch.ones(100, 2, 2), atol=1e-5)
    assert changed[:, 1].max() > 0.8
    assert changed[:, 2].max() > 0.8
    assert (changed[:, 1:].amin(dim=1) < 1e-5).all()


def test_blur_keeps_a_flat_image_and_spreads_a_dot() -> None:
    flat = torch.full((4, 1, 9, 9), 0.5)
    assert torch.allclose(augmented(Blur(kernel_size=5, probability=1.0), flat)[0], flat, atol=1e-6)
    dot = torch.zeros(50, 1, 9, 9)
    dot[:, :, 4, 4] = 1
    blurred, _ = augmented(Blur(kernel_size=5, sigma=2.0, probability=1.0), dot)
    assert torch.allclose(blurred.sum(dim=(1, 2, 3)), torch.ones(50), atol=1e-5)
    assert blurred[:, 0, 4, 4].min() < 0.1
    assert torch.allclose(blurred, blurred.flip(2).transpose(2, 3), atol=1e-6)


def test_a_kernel_larger_than_the_image_is_fine() -> None:
    assert torch.isfinite(augmented(Blur(kernel_size=63, probability=1.0), pictures(4, size=8))[0]).all()


def test_noise_is_normal_with_the_given_spread() -> None:
    grey = torch.full((64, 3, 15, 15), 0.5)
    noise = augmented(Noise(std=0.05, probability=1.0), grey)[0] - 0.5
    assert noise.mean().item() == pytest.approx(0, abs=0.002)
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    assert (noise.abs() > 0.1).float().mean().item() == pytest.approx(0.0455, abs=0.005)
    flat = noise.flatten(1)
    assert torch.corrcoef(flat)[~torch.eye(64, dtype=torch.bool)].abs().max() < 0.2


def test_keyed_normal_numbers_do_not_repeat() -> None:
    numbers = keyed_normal(np.arange(50, dtype=np.uint64) * np.uint64(2**33), 1001, torch.device("cpu"))
    assert numbers.shape == (50, 1001)
    assert numbers.unique().numel() > 0.99 * numbers.numel()


def test_erasing_blanks_one_rectangle_of_at_most_the_area() -> None:
    changed, _ = augmented(Erasing(area=0.3, probability=1.0), torch.ones(200, 1, 20, 20))
    shares = []
    for image in changed[:, 0]:
        rows, columns = (image == 0).any(dim=1), (image == 0).any(dim=0)
        assert (image == 0).sum() == rows.sum() * columns.sum() > 0
        shares.append((image == 0).float().mean().item())
    assert max(shares) <= 0.35
    assert max(shares) > 0.25
    assert min(shares) < 0.05


@pytest.mark.parametrize("config", [Mixup(alpha=1.0), CutMix()], ids=lambda config: config.name)
def test_mixed_targets_sum_to_1_and_say_what_is_in_the_image(config: Augmentation) -> None:
    # Sample i is a flat image of brightness i / 32, so that brightness tells the mixture.
    count = 33
    images = (torch.arange(count) / 32).view(-1, 1, 1, 1).expand(-1, 1, 16, 16).contiguous()
    augmenter = build_augmenter((config,), seed=0)
    assert augmenter is not None
    mixed, targets = augmenter(images, torch.arange(count), classes=count, epoch=0, samples=torch.arange(count))
    assert torch.allclose(targets.sum(dim=1), torch.ones(count))
    assert targets.min() >= 0
    assert ((targets > 0).sum(dim=1) <= 2).all()
    assert ((targets > 0).sum(dim=1) == 2).sum() > 20
    expected = targets @ (torch.arange(count) / 32)
    assert torch.allclose(mixed.mean(dim=(1, 2, 3)), expected, atol=1e-5)


def test_mixing_twice_still_gives_probabilities() -> None:
    _, targets = augmented((Mixup(), CutMix()), pictures(12))
    assert torch.allclose(targets.sum(dim=1), torch.ones(12))


def test_a_sample_alone_cannot_be_mixed() -> None:
    images = pictures(1)
    mixed, targets = augmented((Mixup(), CutMix()), images)
    assert torch.equal(mixed, images)
    assert torch.equal(targets, torch.tensor([0]))


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5, 1.0, 4.0])
def test_symmetric_beta_has_the_moments_of_a_beta(alpha: float) -> None:
    [draws] = KeyedRandom(0, [2]).draw(epoch=0, samples=np.arange(40_000))
    values = symmetric_beta(draws, 0, alpha)
    assert ((values >= 0) & (values <= 1)).all()
    assert values.mean() == pytest.approx(0.5, abs=0.01)
    assert values.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    assert np.mean((values - 0.5) ** 4) == pytest.approx(3 / (16 * (2 * alpha + 1) * (2 * alpha + 3)), rel=0.05)


def test_uniform_draws_are_uniform_and_unrelated() -> None:
    first, second = KeyedRandom(7, [2, 1]).draw(epoch=3, samples=np.arange(20_000))
    columns = np.stack([first.uniform(0), first.uniform(1), second.uniform(0)])
    assert columns.mean(axis=1) == pytest.approx([0.5] * 3, abs=0.01)
    assert columns.var(axis=1) == pytest.approx([1 / 12] * 3, rel=0.03)
    assert np.abs(np.corrcoef(columns)[~np.eye(3, dtype=bool)]).max() < 0.02
    assert np.abs(np.corrcoef(columns[:, :-1], columns[:, 1:])[:3, 3:]).max() < 0.02


def test_uniform_never_reaches_its_ends() -> None:
    ends = Draws(np.array([[0], [2**64 - 1]], dtype=np.uint64))
    low, high = ends.uniform(0)
    assert 0 < low < high < 1
