"""Lion (Chen et al., 2023, "Symbolic Discovery of Optimization Algorithms"): the sign of an interpolated momentum."""

from collections.abc import Callable
from typing import Any, overload

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from modelyard.domain.parts.optimizers import Lion as LionConfig
from modelyard.tasks.optimizers.groups import split_by_decay, trainable
from modelyard.tasks.optimizers.registry import OPTIMIZERS, Group


@OPTIMIZERS.register(LionConfig)
def _build(config: LionConfig, *, model: nn.Module) -> Optimizer:
    groups = split_by_decay(model, trainable(model), all_decay=config.decay_norm_and_bias)
    return Lion(groups, learning_rate=config.learning_rate, betas=config.betas)


class Lion(Optimizer):
    """Moves every weight by the learning rate, up or down. The weight decay is decoupled."""

    def __init__(self, groups: list[Group], *, learning_rate: float, betas: tuple[float, float]) -> None:
        super().__init__(groups, {"lr": learning_rate, "betas": betas, "weight_decay": 0.0})

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
            if parameters:
                self._update(group, parameters)
        return None

    def _update(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients: list[Tensor] = [parameter.grad for parameter in parameters if parameter.grad is not None]
        momenta = [self._momentum(parameter) for parameter in parameters]
        for_update, for_momentum = group["betas"]
        directions = torch._foreach_mul(momenta, for_update)
        torch._foreach_add_(directions, gradients, alpha=1 - for_update)
        torch._foreach_sign_(directions)
        if group["weight_decay"]:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(parameters, directions, alpha=-group["lr"])
        torch._foreach_lerp_(momenta, gradients, 1 - for_momentum)

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        momentum: Tensor = state["momentum"]
        return momentum
