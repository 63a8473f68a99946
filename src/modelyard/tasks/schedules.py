"""Learning-rate schedules: pure functions of the step, so that there is no state to save. Torch-free.

``share`` is the share of the run that lies before the step: 0 at the first step, and 1 only after the last. So a
schedule that ends at 0 wastes no step on a learning rate of 0.
"""

import math

from modelyard.domain.parts.schedules import (
    Constant,
    Cosine,
    Exponential,
    OneCycle,
    ScheduleConfig,
    Step,
    WarmupCosine,
)
from modelyard.tasks.registry import Registry

SCHEDULES: Registry[ScheduleConfig, float] = Registry("schedule")


def is_constant(config: ScheduleConfig) -> bool:
    """Whether the factor is 1 at every step."""
    return type(config) is Constant


def factor(config: ScheduleConfig, step: int, total_steps: int) -> float:
    """Return what the base learning rate is multiplied by at ``step`` (the first is 0) of ``total_steps``.

    A step at or past the end, as after a run was shortened, has the value of the end.
    """
    if is_constant(config):  # asked before every step
        return 1.0
    return SCHEDULES.build(config, step=min(step, total_steps), total=max(total_steps, 1))


@SCHEDULES.register(Constant)
def _constant(_: Constant, *, step: int, total: int) -> float:
    del step, total
    return 1.0


@SCHEDULES.register(Step)
def _step(config: Step, *, step: int, total: int) -> float:
    # The small number keeps 3/10 of a run divided by 0.1 from counting as two drops.
    return math.pow(config.gamma, math.floor(step / total / config.every + 1e-9))


@SCHEDULES.register(Exponential)
def _exponential(config: Exponential, *, step: int, total: int) -> float:
    return math.pow(config.final, step / total)


@SCHEDULES.register(Cosine)
def _cosine(config: Cosine, *, step: int, total: int) -> float:
    return _half_cosine(1.0, config.final, step / total)


@SCHEDULES.register(WarmupCosine)
def _warmup_cosine(config: WarmupCosine, *, step: int, total: int) -> float:
    """Steps of the warm-up take 1/(w+1), 2/(w+1) ... w/(w+1), and the next one 1: none is wasted on 0."""
    warmup = math.ceil(config.warmup * total)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return _half_cosine(1.0, config.final, (step - warmup) / max(total - warmup, 1))


@SCHEDULES.register(OneCycle)
def _one_cycle(config: OneCycle, *, step: int, total: int) -> float:
    share = step / total
    if share < config.rise:
        return _half_cosine(config.start, 1.0, share / config.rise)
    return _half_cosine(1.0, config.final, (share - config.rise) / (1 - config.rise))


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2
