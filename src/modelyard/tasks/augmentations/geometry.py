"""Augmentations that move pixels: flips, rotation, affine, perspective.

The warp is written out, where Kornia multiplies matrices in batches on the device: matrix products round differently
with the batch around a sample, and additions and multiplications of single numbers do not.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from modelyard.domain.parts.augmentations import Affine, HorizontalFlip, Perspective, Rotation, VerticalFlip
from modelyard.tasks.augmentations.operation import AUGMENTATIONS, Operation, PixelOperation
from modelyard.tasks.augmentations.random_numbers import Draws, Floats

_CORNERS = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])


@AUGMENTATIONS.register(HorizontalFlip)
def _horizontal_flip(config: HorizontalFlip) -> Operation:
    return PixelOperation(config.probability, 0, lambda images, _: images.flip(3))


@AUGMENTATIONS.register(VerticalFlip)
def _vertical_flip(config: VerticalFlip) -> Operation:
    return PixelOperation(config.probability, 0, lambda images, _: images.flip(2))


@AUGMENTATIONS.register(Rotation)
def _rotation(config: Rotation) -> Operation:
    def change(images: Tensor, draws: Draws) -> Tensor:
        angles = np.radians(draws.uniform(1, -config.degrees, config.degrees))
        return warp(images, inverse_affine(angles))

    return PixelOperation(config.probability, 1, change)


@AUGMENTATIONS.register(Affine)
def _affine(config: Affine) -> Operation:
    def change(images: Tensor, draws: Draws) -> Tensor:
        # The image's side is 2 in the coordinates of ``warp``.
        shift = 2 * config.translate
        matrices = inverse_affine(
            np.radians(draws.uniform(1, -config.degrees, config.degrees)),
            scale=draws.uniform(2, 1 - config.scale, 1 + config.scale),
            shear=np.tan(np.radians(draws.uniform(3, -config.shear, config.shear))),
            shift_x=draws.uniform(4, -shift, shift),
            shift_y=draws.uniform(5, -shift, shift),
        )
        return warp(images, matrices)

    return PixelOperation(config.probability, 5, change)


@AUGMENTATIONS.register(Perspective)
def _perspective(config: Perspective) -> Operation:
    def change(images: Tensor, draws: Draws) -> Tensor:
        moves = np.stack([draws.uniform(1 + number, 0, config.distortion) for number in range(8)], axis=1)
        corners = _CORNERS * (1 - moves.reshape(-1, 4, 2))
        return warp(images, _homography(corners, _CORNERS))

    return PixelOperation(config.probability, 8, change)


def warp(images: Tensor, matrices: Floats) -> Tensor:
    """Sample images [K, C, H, W] where float64 [K, 2 or 3, 3] matrices take each pixel of the result to; bilinear.

    Coordinates are -1 to 1 across the image, x to the right and y down. Outside the image is black.
    """
    height, width = images.shape[2:]
    numbers = torch.from_numpy(matrices.astype(np.float32)).to(images.device)
    x = _centres(width, images)
    y = _centres(height, images).unsqueeze(1)

    def row(number: int) -> Tensor:  # [K, H, W]
        a, b, c = (numbers[:, number, column].view(-1, 1, 1) for column in range(3))
        return a * x + (b * y + c)

    source_x, source_y = row(0), row(1)
    if matrices.shape[1] == 3:
        depth = row(2)
        source_x, source_y = source_x / depth, source_y / depth
    grid = torch.stack((source_x, source_y), dim=3)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _centres(count: int, images: Tensor) -> Tensor:
    """Pixel centres between -1 and 1, float [count]."""
    return (torch.arange(count, device=images.device, dtype=torch.float32) * 2 + 1) / count - 1


def inverse_affine(
    angles: Floats,
    *,
    scale: Floats | float = 1.0,
    shear: Floats | float = 0.0,
    shift_x: Floats | float = 0.0,
    shift_y: Floats | float = 0.0,
) -> Floats:
    """Return float64 [K, 2, 3]: the inverse of shear, scale, rotation and shift, in this order."""
    cos, sin = np.cos(angles) / scale, np.sin(angles) / scale
    # The inverse of scale * rotation has rows (cos, sin) and (-sin, cos); the inverse of the shear subtracts y from x.
    rows: Any = ((cos + shear * sin, sin - shear * cos), (-sin, cos))
    matrices = np.empty((len(angles), 2, 3))
    for index, (a, b) in enumerate(rows):
        matrices[:, index, 0], matrices[:, index, 1] = a, b
        matrices[:, index, 2] = -(a * shift_x + b * shift_y)
    return matrices


def _homography(start: Floats, end: Floats) -> Floats:
    """Return float64 [K, 3, 3] that take the four points of ``start`` [K, 4, 2] to those of ``end`` [4, 2]."""
    count = len(start)
    equations = np.zeros((count, 8, 8))
    x, y = start[..., 0], start[..., 1]
    for axis in (0, 1):
        lines = equations[:, axis::2]
        lines[..., 3 * axis], lines[..., 3 * axis + 1], lines[..., 3 * axis + 2] = x, y, 1
        lines[..., 6], lines[..., 7] = -x * end[:, axis], -y * end[:, axis]
    wanted = np.broadcast_to(end.reshape(8, 1), (count, 8, 1))
    solved = np.linalg.solve(equations, wanted)[..., 0]
    return np.concatenate([solved, np.ones((count, 1))], axis=1).reshape(count, 3, 3)
