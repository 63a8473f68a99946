"""A run imports what it needs and no more: the libraries around torch take longer to import than many runs train."""

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
import torch
from modelyard.domain.config import RunSpec
from modelyard.engine.data_plan import DataPlan
from modelyard.engine.feed import Feed
from modelyard.engine.learner import Learner
from modelyard.tasks.base import SplitName
from modelyard.tasks.catalogue import task_for

spec = RunSpec.model_validate(json.loads(sys.argv[1]))
task = task_for(spec)
data = task.open_data(spec)
feed = Feed(data, DataPlan.of(spec, samples=data.size(SplitName.TRAIN)), torch.device("cpu"))
learner = Learner(spec, task, feed)
learner.activate()
for _ in range(2):
    learner.train_step()
for _ in learner.evaluate(SplitName.VAL, learner.model):
    pass
learner.problem.finish_evaluation()
learner.load({name: value.clone() for name, value in learner.model.state_dict().items()}, learner.state())
print(json.dumps(sorted(sys.modules)))
"""
HEAVY = {"sympy", "torch._dynamo", "torch._inductor", "torchmetrics", "transformers", "kornia", "sklearn", "datasets"}


def imported(spec: dict[str, object]) -> set[str]:
    command = [sys.executable, "-c", SCRIPT, json.dumps({"data": {"source": "digits"}, **spec})]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_a_run_imports_no_compiler_and_no_library_that_it_does_not_use(optimizer: str) -> None:
    assert not HEAVY & imported({"optimizer": {"name": optimizer}})


def test_what_it_uses_is_imported() -> None:
    assert "torchmetrics" in imported({"metrics": ["accuracy", "auroc"]})
