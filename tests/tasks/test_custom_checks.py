"""What is wrong with a user's class is told before anything is queued: file, line, method, and what it should be."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.api.inspection import check_code
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, DataError, ModelyardError

GOOD = """\
import torch
from torch import nn


class Mine:
    def __init__(self, width=4):
        self.width = width

    def data(self):
        return {"train": (torch.randn(10, 3), torch.randn(10, 1))}

    def build(self):
        return nn.Linear(3, 1)

    def loss(self, outputs, batch):
        return (outputs - batch[1]).square().mean()
"""


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Check a text as the file ``mine.py`` by the child process's own function, here."""
    from modelyard.tasks.custom.check_main import Checker

    monkeypatch.chdir(tmp_path)

    def run(source: str, *, params: dict[str, Any] | None = None, **run: Any) -> dict[str, Any]:
        custom = {"file": str(tmp_path / "mine.py"), "class_name": "Mine", "params": params or {}}
        spec = RunSpec.model_validate({"task": "custom", "custom": custom, **run})
        return Checker().check(spec, {"source": source})

    return run


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_class_that_is_as_it_should_be_tells_its_sizes(check: Callable[..., dict[str, Any]]) -> None:
    opened = check(GOOD)
    assert "Mine has no method 'scores'; add scores(self, outputs, batch) -> a number between" in opened.pop("unscored")
    assert opened == {"train": 10, "val": 0, "test": 0, "metrics": ["val_loss"]}


SCORES = f"{GOOD}\n    def scores(self, outputs, batch):\n        return "


@pytest.mark.parametrize("scores", ["torch.ones(2)", "outputs[:, 0] > 0", "torch.tensor([-1e-6, 1 + 1e-6])"])
def test_a_class_that_scores_its_samples_can_race(scores: str, check: Callable[..., dict[str, Any]]) -> None:
    assert check(SCORES + scores)["unscored"] == ""


def test_what_it_measures_is_told_as_a_validation_will_call_it(check: Callable[..., dict[str, Any]]) -> None:
    metrics = "\n    def metrics(self, outputs, batch):\n        return {'mae': outputs.sum(), 'r2': outputs.mean()}\n"
    assert check(GOOD + metrics)["metrics"] == ["val_loss", "val_mae", "val_r2"]


CASES: dict[str, tuple[str, type[ModelyardError], str]] = {
    "no method": (
        changed("def loss(self, outputs, batch)", "def los(self, outputs, batch)"),
        ConfigError,
        r"mine.py:5: Mine has no method 'loss'; add loss\(self, outputs, batch\) -> the mean loss of the batch",
    ),
    "other arguments": (
        changed("def loss(self, outputs, batch)", "def loss(self, outputs)"),
        ConfigError,
        r"mine.py:15: Mine.loss: too many positional arguments; it is called as loss\(self, outputs, batch\) -> ",
    ),
    "other class": (
        changed("class Mine", "class Mined"),
        ConfigError,
        r"no 'Mine' in it; did you mean 'Mined'",
    ),
    "no class": ("Mine = 3", ConfigError, "Mine is not a class"),
    "syntax": (changed("import torch\n", "import torch\nif\n"), ConfigError, r"^mine.py:2: not valid Python: "),
    "import": (
        changed("import torch\n", "import nothing_at_all\n"),
        ConfigError,
        r"^mine.py:1: ModuleNotFoundError: .*; a run keeps this one file, so put what it needs into it",
    ),
    "raises in data": (
        changed("torch.randn(10, 3)", "torch.randn(10, 3, 1, q=1)"),
        ConfigError,
        r"^mine.py:10, in Mine.data\(self\) -> a dict with 'train' .*: TypeError: ",
    ),
    "raises in build": (
        changed("nn.Linear(3, 1)", "nn.Linear(self.widht, 1)"),
        ConfigError,
        r"^mine.py:13, in Mine.build\(self\) -> the model .*: AttributeError: .*widht",
    ),
    "raises in forward": (changed("nn.Linear(3, 1)", "nn.Linear(4, 1)"), ConfigError, r"RuntimeError: .*shapes"),
    "no model": (changed("nn.Linear(3, 1)", "3"), ConfigError, r"Mine: build\(\) returned a int, not a module"),
    "no scalar": (
        changed(".square().mean()", ".square()"),
        ConfigError,
        r"loss\(\) returned a tensor of shape \(2, 1\), not the mean of the batch",
    ),
    "no weights": (changed("(outputs - batch[1])", "batch[1]"), ConfigError, "the loss does not depend on any weight"),
    "no train": (changed('"train"', '"val"'), DataError, r"data\(\) returned a dict, not a dict with 'train'"),
    "odd split": (
        changed('{"train"', '{"trian": 3, "train"'),
        DataError,
        r"returned the split 'trian'; there are train, val and test",
    ),
    "lengths": (changed("randn(10, 3)", "randn(9, 3)"), DataError, "tensors of lengths 9, 10; the first dimension is"),
    "empty": (changed("10, ", "0, "), DataError, "the train split has no samples"),
    "no data set": (changed("(torch.randn(10, 3), torch.randn(10, 1))", "5"), DataError, "the train split is a int"),
    "dict without inputs": (
        changed("(torch.randn(10, 3), torch.randn(10, 1))", '{"x": torch.randn(10, 3)}'),
        ConfigError,
        r"a batch has x and no 'inputs'; add forward\(self, model, batch\) -> ",
    ),
    "random samples": (
        changed("(torch.randn(10, 3), torch.randn(10, 1))", "Random()")
        + "\n\nclass Random:\n    def __len__(self):\n        return 5\n\n    def __getitem__(self, index):\n"
        "        return torch.rand(3), torch.rand(1)\n",
        DataError,
        "the train data give another sample each time; return the same for the same index",
    ),
    "texts": (
        changed("(torch.randn(10, 3), torch.randn(10, 1))", '[("a", 1), ("b", 2)]'),
        DataError,
        "a sample may hold tensors, arrays and numbers only, such as token numbers for a text",
    ),
    "uneven samples": (
        changed("(torch.randn(10, 3), torch.randn(10, 1))", "[(torch.ones(1), 1), (torch.ones(2), 2)]"),
        DataError,
        r"mine.py, in the train data: RuntimeError: stack expects each tensor to be equal size.*\(samples 0, 1\)",
    ),
    "metrics": (
        GOOD + "\n    def metrics(self, outputs, batch):\n        return [1]\n",
        ConfigError,
        r"metrics\(\) must return a dict",
    ),
    "metric shape": (
        GOOD + "\n    def metrics(self, outputs, batch):\n        return {'a': torch.ones(7)}\n",
        ConfigError,
        r"metrics\(\) returned 'a' of shape \(7,\); return its mean, or one number for each of the 2 samples",
    ),
    "scores arguments": (
        GOOD + "\n    def scores(self, outputs):\n        return outputs\n",
        ConfigError,
        r"Mine.scores: too many positional arguments; it is called as scores\(self, outputs, batch\) -> ",
    ),
    "scores raise": (
        SCORES + "outputs.nothing",
        ConfigError,
        r"^mine.py:19, in Mine.scores\(self, outputs, batch\) -> ",
    ),
    "no scores": (SCORES + "0.5", ConfigError, r"Mine: scores\(\) returned a float, not a tensor with one number for "),
    "mean score": (
        SCORES + "outputs.sigmoid().mean()",
        ConfigError,
        r"Mine: scores\(\) returned a tensor of shape \(\); return one number for each of the 2 samples",
    ),
    "score shape": (SCORES + "outputs.sigmoid()", ConfigError, r"scores\(\) returned a tensor of shape \(2, 1\)"),
    "score above 1": (
        SCORES + "torch.tensor([1.0, 1.5])",
        ConfigError,
        r"Mine: scores\(\) returned 1.5 for sample 1; a score is between 0 and 1, and more is better",
    ),
    "score below 0": (SCORES + "torch.tensor([-3, 0])", ConfigError, r"scores\(\) returned -3 for sample 0"),
    "score of nothing": (SCORES + "outputs[:, 0] * torch.nan", ConfigError, r"scores\(\) returned nan for sample 0"),
    "metric loss": (
        GOOD + "\n    def metrics(self, outputs, batch):\n        return {'loss': 1}\n",
        ConfigError,
        "choose another name",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_mistake_is_explained(name: str, check: Callable[..., dict[str, Any]]) -> None:
    source, kind, message = CASES[name]
    with pytest.raises(kind, match=message):
        check(source)


def test_params_that_it_does_not_take_are_named(check: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match=r"got an unexpected keyword argument 'widht'; Mine takes \(width=4\)"):
        check(GOOD, params={"widht": 3})


def test_what_a_run_watches_must_be_measured(check: Callable[..., dict[str, Any]]) -> None:
    with pytest.raises(ConfigError, match=r"^training.early_stopping: there is no validation data"):
        check(GOOD, training={"early_stopping": {}})
    with pytest.raises(ConfigError, match=r"^training.checkpoint.metric: 'val_mae' is not a metric of this run"):
        check(GOOD, training={"checkpoint": {"metric": "val_mae", "mode": "min"}})


def test_a_file_beside_it_is_refused_since_the_run_would_not_keep_it(
    check: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_helper_beside.py").write_text("VALUE = 3\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConfigError, match=r"it imports my_helper_beside.py from the folder beside it"):
        check(f"import my_helper_beside\n{GOOD}")


def test_what_the_code_prints_does_not_disturb_the_answer(tmp_path: Path) -> None:
    custom = {"file": str(tmp_path / "mine.py"), "class_name": "Mine"}
    spec = RunSpec.model_validate({"task": "custom", "custom": custom}).model_dump(mode="json")
    source = changed("        self.width = width", f"        print({json.dumps(json.dumps({'opened': {}}))})")
    (opened,) = check_code([{"spec": spec, "source": source}])
    assert opened["train"] == 10
    with pytest.raises(ConfigError, match=r"^mine.py:10, in Mine.data"):
        list(check_code([{"spec": spec, "source": changed("10, 3", "10, 3, q=2")}]))
