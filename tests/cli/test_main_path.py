"""train, runs list/show/logs, pause/resume/stop/tune, as a person would type them."""

from typing import Any


def test_train_ends_with_runs_to_look_at(cli: Any, engine: Any, sweep: Any) -> None:
    output = cli("train", sweep)
    assert "digits-1: running" in output.out
    assert "digits-1: epoch 1/2, train_loss " in output.out
    assert "digits-2: completed (all epochs are done)" in output.out
    assert output.out.endswith("done; see: modelyard runs list --experiment digits\n")
    listed = cli("runs", "list").out
    assert "digits-1" in listed
    assert "completed" in listed
    shown = cli("runs", "show", "digits-1").out
    assert "optimizer.learning_rate" in shown
    assert "0.01" in shown
    assert cli("runs", "logs", "digits-1").out == "attempt 1 of digits-1 started\nepoch 1 done\nepoch 2 done\n"
