"""``modelyard init --task custom``."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.api.sweepfile import read_sweep


@pytest.mark.covers("init --task")
def test_init_for_a_class_of_ones_own_writes_both_files_or_none(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cli("init", "own.yaml", "--task", "custom")
    assert read_sweep("own.yaml").run.task == "custom"
    assert len(cli("plan", "own.yaml", "--json").json["runs"]) == 8
    written = Path("my_task.py").read_text()
    assert "my_task.py exists" in cli.fails(2, "init", "other.yaml", "--task", "custom")
    assert Path("my_task.py").read_text() == written
    assert not Path("other.yaml").exists()
    assert "--data is for image classification" in cli.fails(2, "init", "--task", "custom", "--data", ".")
