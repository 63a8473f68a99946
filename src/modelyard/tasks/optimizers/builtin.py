"""The optimizers that torch has: fused into one kernel where the device has one."""

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop

from modelyard.domain.parts import optimizers as configs
from modelyard.tasks.optimizers.groups import split_by_decay, trainable
from modelyard.tasks.optimizers.registry import OPTIMIZERS, Group


def can_fuse(model: nn.Module) -> bool:
    """Whether torch has fused kernels for every trained parameter."""
    return all(
        parameter.device.type in {"cpu", "cuda"} and parameter.is_floating_point() for parameter in trainable(model)
    )


def _groups(config: configs.OptimizerConfig, model: nn.Module) -> list[Group]:
    return split_by_decay(model, trainable(model), all_decay=config.decay_norm_and_bias)


@OPTIMIZERS.register(configs.Sgd)
def _sgd(config: configs.Sgd, *, model: nn.Module) -> Optimizer:
    optimizer = SGD(
        _groups(config, model),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        fused=can_fuse(model),
    )
    _fill_momentum(optimizer)
    # What is loaded may lack it: a parent that trained without momentum, or was saved before its first step.
    optimizer.register_load_state_dict_post_hook(_fill_momentum)
    return optimizer


def _fill_momentum(optimizer: Optimizer) -> None:
    """Begin with a momentum of zero, which makes the same first step as torch's own start (a copy of the gradient).

    torch leaves it uninitialised when a gradient scaler skips the first fused step, and reads it in the next.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            if "momentum_buffer" not in optimizer.state[parameter]:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(
                    parameter, memory_format=torch.preserve_format
                )


@OPTIMIZERS.register(configs.Adam)
def _adam(config: configs.Adam, *, model: nn.Module) -> Optimizer:
    return Adam(
        _groups(config, model), lr=config.learning_rate, betas=config.betas, eps=config.eps, fused=can_fuse(model)
    )


@OPTIMIZERS.register(configs.AdamW)
def _adamw(config: configs.AdamW, *, model: nn.Module) -> Optimizer:
    return AdamW(
        _groups(config, model), lr=config.learning_rate, betas=config.betas, eps=config.eps, fused=can_fuse(model)
    )


@OPTIMIZERS.register(configs.RmsProp)
def _rmsprop(config: configs.RmsProp, *, model: nn.Module) -> Optimizer:
    return RMSprop(
        _groups(config, model),
        lr=config.learning_rate,
        alpha=config.alpha,
        momentum=config.momentum,
        eps=config.eps,
        foreach=True,
    )
