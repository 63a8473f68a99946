"""Mixed precision, gradient clipping and the weight average of one learner."""

import contextlib
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from modelyard.domain.parts.training import Ema, TrainingConfig

_AUTOCAST_DTYPE = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(config: TrainingConfig, device: torch.device) -> contextlib.AbstractContextManager[None]:
    """Return the context in which forward passes run."""
    if config.precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=_AUTOCAST_DTYPE[config.precision])


def make_scaler(config: TrainingConfig, device: torch.device) -> torch.amp.GradScaler:
    """Return a gradient scaler; it does nothing unless the precision is fp16."""
    return torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")


def make_average(config: Ema | None, model: nn.Module) -> AveragedModel | None:
    """Return the exponential moving average of ``model``'s weights and buffers, or None."""
    if config is None:
        return None
    multi_avg_fn = get_ema_multi_avg_fn(config.decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=multi_avg_fn, use_buffers=True)


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Scale gradients down to ``max_norm`` (global L2 norm); return the norm before (scalar)."""
    return nn.utils.clip_grad_norm_(parameters, max_norm, foreach=True)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no floating-point tensor holds NaN or infinity; one synchronisation with the device."""
    floating = [tensor for tensor in tensors if tensor.is_floating_point() and tensor.numel()]
    if not floating:
        return True
    norms = torch._foreach_norm(floating)
    return bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all())


def set_training(model: nn.Module, *, mode: bool) -> None:
    """Do what ``model.train(mode)`` does, in a quarter of the time where no module has its own way of doing it."""
    modules = list(model.modules())
    if any(type(module).train is not nn.Module.train for module in modules):
        model.train(mode)
        return
    for module in modules:
        vars(module)["training"] = mode
