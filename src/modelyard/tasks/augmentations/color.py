"""Augmentations of colour, sharpness and noise."""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelyard.domain.parts.augmentations import Blur, ColorJitter, Noise
from modelyard.tasks.augmentations.operation import AUGMENTATIONS, Operation, PixelOperation, to_device
from modelyard.tasks.augmentations.random_numbers import Bits, Draws
from modelyard.tasks.lazy import LazyModule

kornia_color = LazyModule("kornia.color")


@AUGMENTATIONS.register(ColorJitter)
def _color_jitter(config: ColorJitter) -> Operation:
    def factor(images: Tensor, draws: Draws, number: int, strength: float) -> Tensor:
        return to_device(draws.uniform(number, 1 - strength, 1 + strength), images)

    def change(images: Tensor, draws: Draws) -> Tensor:
        if config.brightness:
            images = (images * factor(images, draws, 1, config.brightness)).clamp_(0, 1)
        if config.contrast:
            images = _blend(_mean_grey(images), images, factor(images, draws, 2, config.contrast))
        if images.shape[1] == 3 and config.saturation:
            images = _blend(kornia_color.rgb_to_grayscale(images), images, factor(images, draws, 3, config.saturation))
        if images.shape[1] == 3 and config.hue:
            images = _turn_hue(images, to_device(draws.uniform(4, -config.hue, config.hue), images))
        return images

    return PixelOperation(config.probability, 4, change)


def _blend(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    return (start * (1 - share) + end * share).clamp_(0, 1)


def _mean_grey(images: Tensor) -> Tensor:
    """Return each image's mean brightness, float [K, 1, 1, 1]."""
    grey = kornia_color.rgb_to_grayscale(images) if images.shape[1] == 3 else images
    # One axis at a time: a sum over all of them is cut up differently when there is a single image.
    return grey.mean(dim=3, keepdim=True).mean(dim=2, keepdim=True)


def _turn_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of RGB images by shares of the colour circle, [K, 1, 1, 1].

    The usual way through HSV in one pass; Kornia's two conversions take eight times as long.
    """
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    span = high - torch.minimum(torch.minimum(red, green), blue)
    scale = 1 / span.clamp_min(1e-8)
    by_green = torch.where(high == green, (blue - red) * scale + 2, (red - green) * scale + 4)
    hue = torch.where(high == red, (green - blue) * scale, by_green) + 6 * turns.squeeze(1)  # in sixths of the circle
    channels = []
    for offset in (5, 3, 1):
        place = hue + offset
        place = place - 6 * torch.floor(place / 6)
        channels.append(high - span * torch.minimum(place, 4 - place).clamp_(0, 1))
    return torch.stack(channels, dim=1)


@AUGMENTATIONS.register(Blur)
def _blur(config: Blur) -> Operation:
    reach = config.kernel_size // 2

    def change(images: Tensor, draws: Draws) -> Tensor:
        # From a quarter up: a selected sample is visibly blurred.
        sigmas = draws.uniform(1, config.sigma / 4, config.sigma)[:, None]
        kernels = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigmas) ** 2)
        kernels /= kernels.sum(axis=1, keepdims=True)
        taps = [to_device(kernels[:, tap], images) for tap in range(config.kernel_size)]
        for axis in (2, 3):
            images = _convolve(images, taps, axis)
        return images

    return PixelOperation(config.probability, 1, change)


def _convolve(images: Tensor, taps: list[Tensor], axis: int) -> Tensor:
    """Convolve along one axis, with edges repeated.

    Tap by tap: a convolution kernel is chosen by the batch's size, and would round differently in other company.
    """
    reach, size = len(taps) // 2, images.shape[axis]
    padding = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
    padded = functional.pad(images, padding, mode="replicate")
    result = padded.narrow(axis, 0, size) * taps[0]
    for offset, tap in enumerate(taps[1:], start=1):
        result += padded.narrow(axis, offset, size) * tap
    return result


@AUGMENTATIONS.register(Noise)
def _noise(config: Noise) -> Operation:
    def change(images: Tensor, draws: Draws) -> Tensor:
        normal = keyed_normal(draws.bits[:, 1], images[0].numel(), images.device)
        return (images + normal.view_as(images) * config.std).clamp_(0, 1)

    return PixelOperation(config.probability, 1, change)


def keyed_normal(keys: Bits, count: int, device: torch.device) -> Tensor:
    """Return standard normal numbers, float [K, count], each a function of its sample's key and its place alone.

    The Box-Muller transform of two hashes; worked out on ``device``, where the images are.
    """
    halves = torch.from_numpy(keys.copy().view(np.int32).reshape(-1, 2)).to(device)
    # Whole vector registers for each sample, so that its numbers do not depend on where in the batch it stands.
    pairs = -(-count // 32) * 16
    places = torch.arange(2 * pairs, dtype=torch.int32, device=device)
    bits = _hash(_hash(places + halves[:, :1]) ^ halves[:, 1:])
    unit = (((bits >> 8) & 0xFFFFFF).float() + 0.5) * 2.0**-24
    radius = (unit[:, :pairs].log() * -2).clamp_min_(0).sqrt_()
    angle = unit[:, pairs:] * (2 * math.pi)
    return torch.cat((radius * angle.cos(), radius * angle.sin()), dim=1)[:, :count].contiguous()


def _hash(values: Tensor) -> Tensor:
    """Mix int32 values well: Chris Wellons' "lowbias32", with logical shifts made of arithmetic ones."""
    values = (values ^ ((values >> 16) & 0xFFFF)) * 0x7FEB352D
    values = (values ^ ((values >> 15) & 0x1FFFF)) * (0x846CA68B - 2**32)
    return values ^ ((values >> 16) & 0xFFFF)
