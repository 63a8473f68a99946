from hypothesis import given
from hypothesis import strategies as st

from modelyard.engine.progress import Progress, Unit


def progress(epochs: int = 2, evaluate_every: int = 1, *, validation: bool = True, test: bool = True) -> Progress:
    return Progress(epochs=epochs, evaluate_every=evaluate_every, has_validation=validation, has_test=test)


def walk(one: Progress, steps_per_epoch: int) -> list[str]:
    """Do what ``next_unit`` says until the end."""
    done: list[str] = []
    while (unit := one.next_unit()) is not Unit.DONE:
        done.append(f"{unit.value}@{one.epoch}.{one.step_in_epoch}")
        if unit is Unit.TRAIN:
            one.advance_step(steps_per_epoch)
        elif unit is Unit.VALIDATE:
            one.validated_epochs = one.epoch
        else:
            one.tested = True
    return done


def test_train_validate_and_test_in_order() -> None:
    assert walk(progress(), 2) == [
        "train@0.0", "train@0.1", "validate@1.0", "train@1.0", "train@1.1", "validate@2.0", "test@2.0",
    ]  # fmt: skip


def test_the_last_epoch_is_always_validated() -> None:
    assert [unit for unit in walk(progress(5, 2), 1) if "val" in unit] == [
        "validate@2.0",
        "validate@4.0",
        "validate@5.0",
    ]


def test_no_validation_without_data() -> None:
    assert walk(progress(1, validation=False, test=False), 1) == ["train@0.0"]


def test_early_stop_ends_training_and_more_epochs_revive_it() -> None:
    one = progress(5)
    one.advance_step(1)
    one.validated_epochs, one.stopped_early = 1, True
    assert one.next_unit() is Unit.TEST
    one.tested = True
    assert one.next_unit() is Unit.DONE
    one.set_epochs(6)
    assert one.next_unit() is Unit.TRAIN


def test_fewer_epochs_end_at_the_next_epoch() -> None:
    one = progress(5, validation=False, test=False)
    for _ in range(3):
        one.advance_step(2)
    one.set_epochs(1)
    assert one.next_unit() is Unit.TRAIN
    one.advance_step(2)
    assert one.next_unit() is Unit.DONE


@given(epochs=st.integers(1, 4), every=st.integers(1, 3), steps=st.integers(1, 3), cut=st.integers(0, 20))
def test_a_saved_position_goes_on_the_same(epochs: int, every: int, steps: int, cut: int) -> None:
    whole = walk(progress(epochs, every), steps)
    first = progress(epochs, every)
    for _ in range(min(cut, len(whole))):
        unit = first.next_unit()
        if unit is Unit.TRAIN:
            first.advance_step(steps)
        elif unit is Unit.VALIDATE:
            first.validated_epochs = first.epoch
        else:
            first.tested = True
    second = progress(epochs, every)
    second.load(first.state())
    assert walk(second, steps) == whole[min(cut, len(whole)) :]
