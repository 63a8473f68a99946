"""Everything that happens can be written down and read again without loss."""

import typing
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from modelyard.domain.access import Permission, Role
from modelyard.domain.control import ControlOp, ControlRecord, Pause, Resume, Save, SetPriority, Stop, Tune
from modelyard.domain.events import PAYLOAD_ADAPTER, EventPayload
from modelyard.domain.introspection import alternatives, configs
from modelyard.domain.run import Reason, ReasonCode, RunState
from modelyard.domain.search_log import Decision, DecisionKind

OPS: list[ControlOp] = [Pause(), Resume(), Stop(), Save(), Tune(learning_rate=0.1), SetPriority(priority=3)]

_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: st.text(),
    int: st.integers(0, 2**53),
    float: st.floats(allow_nan=False, allow_infinity=False),
    bool: st.booleans(),
    RunState: st.sampled_from(RunState),
    Role: st.sampled_from(Role),
    list[Permission]: st.lists(st.sampled_from(Permission)),
    datetime: st.datetimes(timezones=st.just(UTC)),
    Reason: st.builds(Reason, code=st.sampled_from(ReasonCode), message=st.text()),
    type(None): st.none(),
    Decision: st.builds(
        Decision,
        kind=st.sampled_from(DecisionKind),
        trial=st.integers(1, 9) | st.none(),
        epoch=st.integers(0, 9),
        until=st.integers(0, 9),
        reason=st.text(),
    ),
}


def payloads_of(kind: type[BaseModel]) -> st.SearchStrategy[BaseModel]:
    fields = {
        name: st.one_of(
            [
                st.sampled_from(OPS) if member in configs(ControlOp) else _VALUES[member]
                for member in alternatives(field.annotation)
            ]
        )
        for name, field in kind.model_fields.items()
        if name != "type"
    }
    return st.builds(kind, **fields)


KINDS = configs(EventPayload)


@given(st.one_of([payloads_of(kind) for kind in KINDS]))
def test_an_event_survives_its_json(payload: EventPayload) -> None:
    assert PAYLOAD_ADAPTER.validate_json(PAYLOAD_ADAPTER.dump_json(payload)) == payload


def test_the_union_is_closed_and_each_type_has_its_own_name() -> None:
    names = [kind.model_fields["type"].default for kind in KINDS]
    assert len(set(names)) == len(names) == len(typing.get_args(typing.get_args(EventPayload)[0]))
    with pytest.raises(ValidationError):
        PAYLOAD_ADAPTER.validate_python({"type": "run.exploded"})


def test_all_control_operations_are_covered_above() -> None:
    assert {type(op) for op in OPS} == set(configs(ControlOp))


def test_a_tune_that_changes_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least one of learning_rate, weight_decay, epochs"):
        Tune()


@pytest.mark.parametrize("op", OPS)
def test_a_control_record_survives_its_json(op: ControlOp) -> None:
    record = ControlRecord.model_validate(
        {"id": 1, "run_id": "r", "op": op, "status": "pending", "actor": "me", "requested_at": "2026-01-01T00:00:00Z"}
    )
    assert ControlRecord.model_validate_json(record.model_dump_json()) == record
