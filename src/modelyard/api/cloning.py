"""Starts a new run from an existing one."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelyard.api.checkpoints import find_checkpoint
from modelyard.api.datacheck import check_clone
from modelyard.api.edits import Change, apply_edits, difference
from modelyard.api.operations import DEFAULT_TIMEOUT, settle, wait_for
from modelyard.api.snapshot import keep_code, with_code
from modelyard.api.sweepfile import resolve_edits
from modelyard.api.tuned import tuned_fields
from modelyard.domain.checkpoint import Checkpoint
from modelyard.domain.config import RunSpec
from modelyard.domain.control import OpStatus, Save
from modelyard.domain.errors import ConfigError, ConflictError, NotFoundError, UserError
from modelyard.domain.run import Run, RunState
from modelyard.store import LeaseObserver, Store

_NOT_STRUCTURE = frozenset({"dropout", "activation", "freeze_backbone", "unfreeze_last", "pretrained"})
"""Fields of a model that may differ between a checkpoint and the run that starts from its weights."""
_TRIES = 10
"""How often a checkpoint is looked for again that a newer one replaced before the clone could hold it."""
_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Cloned:
    """A new run, and how its config differs from its parent's."""

    run: Run
    changes: tuple[Change, ...]


def clone(
    store: Store,
    parent: Run,
    edits: Mapping[str, Any],
    *,
    warm_start: str | None = None,
    inherit_optimizer: bool = False,
    priority: int | None = None,
    actor: str,
) -> Cloned:
    """Queue a new run with the parent's config, tuned values included, and ``edits`` on top.

    ``warm_start`` is ``last`` (the weights as of now, also of a run in training), ``best``, a step, or a checkpoint's
    id. Raises ``ConfigError`` or ``DataError`` for edits that do not fit, ``ConflictError`` for a parent without such
    a checkpoint.
    """
    if inherit_optimizer and warm_start is None:
        raise UserError("--inherit-optimizer takes the optimizer state of a checkpoint; add --warm-start")
    spec = _edited(tuned_spec(store, parent), resolve_edits(edits, Path.cwd()))
    check_clone(store, parent.spec, spec)
    keep_code(store, [spec])
    if warm_start is None:
        run = store.runs.clone(parent.id, spec, priority=priority, actor=actor)
        return Cloned(run, difference(parent.spec, spec))
    if warm_start == "last":
        _bring_up_to_date(store, parent, actor)
    for left in reversed(range(_TRIES)):
        checkpoint = find_checkpoint(store, parent.id, warm_start)
        _check_fits(store.runs.get(checkpoint.run_id).spec, spec, checkpoint, inherit_optimizer)
        try:
            run = store.runs.clone(
                parent.id,
                spec,
                warm_start=checkpoint.id,
                inherit_optimizer=inherit_optimizer,
                priority=priority,
                actor=actor,
            )
        except NotFoundError:  # a run in training keeps only its newest ones: take the one that replaced it
            if not left:
                raise
        else:
            break
    return Cloned(run, difference(parent.spec, spec))


def _edited(spec: RunSpec, edits: Mapping[str, Any]) -> RunSpec:
    """Return the spec with edits. It keeps the parent's code, unless the file is named: then that is taken as it is."""
    if spec.user_code is not None and f"{spec.code_field}.file" in edits:
        edits = {f"{spec.code_field}.code": None, **edits}
    return with_code([apply_edits(spec, edits)[0]])[0]


def tuned_spec(store: Store, run: Run) -> RunSpec:
    """Return the run's config with every ``tune`` that took effect."""
    return apply_edits(run.spec, tuned_fields(store, [run]).get(run.id, {}))[0]


def _bring_up_to_date(store: Store, parent: Run, actor: str) -> None:
    """Have the newest checkpoint be the weights as of now: a run in training saves, one that is about to pause has to.

    Raises ``ConflictError`` if that takes too long.
    """
    if parent.state is RunState.RUNNING:
        _save_now(store, parent, actor)
    observer = LeaseObserver()
    deadline = time.monotonic() + DEFAULT_TIMEOUT
    while (state := store.runs.get(parent.id).state) in {RunState.PAUSING, RunState.STOPPING}:
        if time.monotonic() >= deadline:
            raise ConflictError(f"run {parent.name} is still {state.value} after {DEFAULT_TIMEOUT:.0f} s; try again")
        time.sleep(_POLL_SECONDS)
        settle(store, observer)


def _save_now(store: Store, parent: Run, actor: str) -> None:
    try:
        record = store.runs.request(parent.id, Save(), actor=actor)
    except ConflictError:  # it ended its training meanwhile: its newest checkpoint is up to date
        return
    record = wait_for(store, record, timeout=DEFAULT_TIMEOUT)
    if record.status is OpStatus.PENDING:
        raise ConflictError(f"run {parent.name} did not save within {DEFAULT_TIMEOUT:.0f} s; try again, or use 'best'")


def _check_fits(source: RunSpec, spec: RunSpec, checkpoint: Checkpoint, inherit_optimizer: bool) -> None:
    before, after = _structure(source), _structure(spec)
    differing = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    if differing:
        names = ", ".join(f"model.{key}" for key in differing)
        raise ConfigError(f"weights of {checkpoint.id} do not fit: {names} differ; clone without --warm-start")
    if inherit_optimizer and source.optimizer.name != spec.optimizer.name:
        raise ConfigError(
            f"the optimizer state is {source.optimizer.name}'s and the new run uses {spec.optimizer.name}; "
            "leave out --inherit-optimizer"
        )
    if inherit_optimizer and not checkpoint.resumable:
        raise ConflictError(f"checkpoint {checkpoint.id} has only weights; leave out --inherit-optimizer or use 'last'")


def _structure(spec: RunSpec) -> dict[str, Any]:
    if spec.user_code is not None:  # the engine sees whether the weights fit
        return {}
    return spec.model.model_dump(mode="json", exclude=set(_NOT_STRUCTURE))
