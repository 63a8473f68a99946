"""Matrix products of all members at once, with the very bits that each member's own product has on the CPU.

There, MKL rounds by how a matrix lies in memory: the products of a batch equal single ones only if every member's slice
starts at a cache line and no product is tiny or a vector. Otherwise they are taken one by one, on aligned copies; those
of half precision, too, whose sums are taken in another order when they are batched.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_LINE = 64
"""Bytes of a cache line; torch aligns what it allocates to it."""
_TINY = 400
"""Products of fewer multiplications are done by another kernel when they are batched."""


def aligned_empty(size: int, shape: Sequence[int], like: Tensor) -> Tensor:
    """Return memory for ``size`` slices [*shape], each of which starts at a cache line."""
    count = 1
    for length in shape:
        count *= length
    per_line = max(1, _LINE // like.element_size())
    padded = -(-count // per_line) * per_line
    base = torch.empty((size, padded), dtype=like.dtype, device=like.device)
    return base[:, :count].view(size, *shape)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """x [K, B, in] @ weight [K, out, in].T + bias [K, out] -> [K, B, out], as ``nn.Linear`` does it for each member."""
    result: Tensor = _Linear.apply(x, weight, bias)  # type: ignore[no-untyped-call]
    return result


class _Linear(torch.autograd.Function):
    """Backwards it takes the same three products as ``nn.Linear``.

    Autograd's own derivative of ``baddbmm`` takes the weight's gradient transposed, which rounds otherwise.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return products(x, weight.transpose(1, 2), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        gradient = gradients[0].contiguous()  # sums are taken in the order of the memory
        x, weight = ctx.saved_tensors
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad
        return (
            products(gradient, weight) if needs_x else None,
            products(gradient.transpose(1, 2), x) if needs_weight else None,
            gradient.sum(1) if needs_bias else None,
        )


def products(left: Tensor, right: Tensor, bias: Tensor | None = None, *, out: Tensor | None = None) -> Tensor:
    """[K, M, L] @ [K, L, N] (+ [K, N]) -> [K, M, N], with every member's own bits; into ``out``, if it is given."""
    if left.device.type == "cpu":
        left, right = _aligned(left), _aligned(right)
        if not _batches_exactly(left, right):
            result = _one_by_one(left, right, bias)
            return result if out is None else out.copy_(result)
    if bias is None:
        return torch.bmm(left, right) if out is None else torch.bmm(left, right, out=out)
    return torch.baddbmm(bias.unsqueeze(1), left, right)


def _batches_exactly(left: Tensor, right: Tensor) -> bool:
    rows, inner, columns = left.shape[1], left.shape[2], right.shape[2]
    return left.dtype is torch.float32 and (
        min(rows, columns) > 1 and rows * inner * columns >= _TINY and rows * columns * left.element_size() % _LINE == 0
    )


def _one_by_one(left: Tensor, right: Tensor, bias: Tensor | None) -> Tensor:
    result = aligned_empty(len(left), (left.shape[1], right.shape[2]), left)
    for number, out in enumerate(result.unbind(0)):
        if bias is None:
            torch.mm(left[number], right[number], out=out)
        else:
            torch.addmm(bias[number], left[number], right[number], out=out)
    return result


def _aligned(matrices: Tensor) -> Tensor:
    """Return ``matrices`` [K, M, N], copied if their slices do not start at cache lines; transposed ones stay so."""
    line = max(1, _LINE // matrices.element_size())
    if matrices.stride(0) % line == 0 and matrices.data_ptr() % _LINE == 0:
        return matrices
    if matrices.stride(2) == 1:
        return aligned_empty(len(matrices), matrices.shape[1:], matrices).copy_(matrices)
    turned = matrices.transpose(1, 2)
    return aligned_empty(len(turned), turned.shape[1:], turned).copy_(turned).transpose(1, 2)
