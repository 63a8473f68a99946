"""The optimizers that torch has: fused into one kernel where the device has one."""

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
    return SGD(
        _groups(config, model),
        lr=config.learning_rate,
        momentum=config.momentum,
        nesterov=config.nesterov,
        fused=can_fuse(model),
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
