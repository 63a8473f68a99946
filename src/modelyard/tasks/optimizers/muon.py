"""Muon (Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks"), with AdamW for the rest.

One optimizer object holds both parts, so that schedule, checkpoint and gradient scaler see one. torch has a Muon from
2.9 on, but only for 2-D weights, and without the AdamW part.
"""

from collections import defaultdict
from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.adamw import adamw

from modelyard.domain.parts.optimizers import Muon as MuonConfig
from modelyard.tasks.optimizers.builtin import can_fuse
from modelyard.tasks.optimizers.groups import hidden_matrices, split_by_decay, trainable
from modelyard.tasks.optimizers.registry import OPTIMIZERS, Group

# The AdamW part and the iteration's coefficients are as in Jordan's reference implementation.
_BETAS = (0.9, 0.95)
_EPS = 1e-10
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


@OPTIMIZERS.register(MuonConfig)
def _build(config: MuonConfig, *, model: nn.Module) -> Optimizer:
    matrices = hidden_matrices(model)
    chosen = {id(parameter) for parameter in matrices}
    rest = [parameter for parameter in trainable(model) if id(parameter) not in chosen]
    groups = [
        {**group, "orthogonal": True} for group in split_by_decay(model, matrices, all_decay=config.decay_norm_and_bias)
    ]
    groups += [
        {**group, "orthogonal": False, "lr_factor": config.adamw_factor}
        for group in split_by_decay(model, rest, all_decay=config.decay_norm_and_bias)
    ]
    return Muon(
        groups,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        steps=config.steps,
        fused=can_fuse(model),
    )


class Muon(Optimizer):
    """Groups with ``orthogonal`` get Muon, the others AdamW. The weight decay of both is decoupled."""

    def __init__(
        self, groups: list[Group], *, learning_rate: float, momentum: float, nesterov: bool, steps: int, fused: bool
    ) -> None:
        defaults = {"lr": learning_rate, "momentum": momentum, "nesterov": nesterov, "steps": steps, "fused": fused}
        super().__init__(groups, {**defaults, "weight_decay": 0.0})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one step with the gradients as they are."""
        assert closure is None, "closures are not supported"
        for group in self.param_groups:
            parameters: list[Tensor] = [parameter for parameter in group["params"] if parameter.grad is not None]
            if parameters and group["orthogonal"]:
                self._step_matrices(group, parameters)
            elif parameters:
                self._step_rest(group, parameters)
        return None

    def _step_matrices(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients = _gradients(parameters)
        momenta = [self._state(parameter, "momentum") for parameter in parameters]
        torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
        updates = torch._foreach_lerp(gradients, momenta, group["momentum"]) if group["nesterov"] else momenta
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        for indices in _same_shape(updates):
            stacked = torch.stack([updates[index].flatten(1) for index in indices])  # [K, rows, columns]
            scale = max(1.0, stacked.shape[1] / stacked.shape[2]) ** 0.5
            directions = orthogonalise(stacked, group["steps"])
            for index, direction in zip(indices, directions.unbind(0), strict=True):
                parameters[index].add_(direction.view_as(parameters[index]), alpha=-group["lr"] * scale)

    def _step_rest(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        for parameter in parameters:
            if "step" not in self.state[parameter]:
                # Fused kernels want the count beside the parameter.
                device = parameter.device if group["fused"] else torch.device("cpu")
                self.state[parameter]["step"] = torch.zeros((), dtype=torch.float32, device=device)
        adamw(
            parameters,
            _gradients(parameters),
            [self._state(parameter, "exp_avg") for parameter in parameters],
            [self._state(parameter, "exp_avg_sq") for parameter in parameters],
            [],
            [self.state[parameter]["step"] for parameter in parameters],
            foreach=not group["fused"],
            fused=group["fused"],
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=_EPS,
            maximize=False,
        )

    def _state(self, parameter: Tensor, name: str) -> Tensor:
        state = self.state[parameter]
        if name not in state:
            state[name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        value: Tensor = state[name]
        return value


def orthogonalise(matrices: Tensor, steps: int) -> Tensor:
    """Move all singular values of each matrix, [K, rows, columns], close to 1 by the quintic Newton-Schulz iteration.

    In bf16 on CUDA, as published; in fp32 elsewhere, where bf16 is slow.
    """
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x.to(torch.bfloat16) if x.is_cuda else x.float()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = _COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).to(matrices.dtype)


def _gradients(parameters: list[Tensor]) -> list[Tensor]:
    return [parameter.grad for parameter in parameters if parameter.grad is not None]


def _same_shape(tensors: tuple[Tensor, ...] | list[Tensor]) -> list[list[int]]:
    """Return indices by shape: matrices of one shape are multiplied together, in few kernel launches."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for index, tensor in enumerate(tensors):
        groups[tensor.shape[0], tensor.numel() // tensor.shape[0]].append(index)
    return list(groups.values())
