"""What is wrong with a function that makes a trainer is told before anything is queued."""

from pathlib import Path
from typing import Any

import pytest

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.domain.validation import validate
from modelyard.tasks.custom.check_main import Checker

SOURCE = """\
import tempfile
import torch
import transformers


def make(labels=2, **arguments):
    config = transformers.BertConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=16, max_position_embeddings=8, num_labels=labels)
    samples = [{"input_ids": torch.tensor([1, 2, 3]), "labels": number % 2} for number in range(12)]
    arguments = transformers.TrainingArguments(
        **{"output_dir": tempfile.gettempdir(), "report_to": "none", "use_cpu": True, **arguments}
    )
    return transformers.Trainer(transformers.BertForSequenceClassification(config), arguments, train_dataset=samples)
"""


def check(tmp_path: Path, source: str = SOURCE, **params: Any) -> dict[str, int]:
    trainer = {"file": str(tmp_path / "train.py"), "function": "make", "params": params}
    spec = RunSpec.model_validate({"task": "hf-trainer", "trainer": trainer})
    return Checker().check(spec, {"source": source})


def test_a_trainer_that_can_be_run_tells_its_sizes(tmp_path: Path) -> None:
    assert check(tmp_path) == {"train": 12, "val": 0}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"load_best_model_at_end": True, "eval_strategy": "no"}, "load_best_model_at_end requires the save and eval"),
        ({"dataloader_num_workers": 1}, "TrainingArguments.dataloader_num_workers must be 0: what workers draw"),
        ({"auto_find_batch_size": True}, "auto_find_batch_size must be off; set per_device_train_batch_size"),
        ({"ignore_data_skip": True}, "ignore_data_skip must be off; a resumed run must see"),
        ({"no_such_argument": 1}, r"train.py:1\d, in make: TypeError: .*no_such_argument"),
        ({"labels": 1, "max_steps": 3}, "the trainer of make"),
        ({"learning_rate": -1.0}, r"for its optimizer and schedule: ValueError: Invalid learning rate: -1.0"),
        ({"learning_rate": "fast"}, r"train.py, in the trainer of make\(\), for its optimizer and schedule: TypeError"),
    ],
)
def test_a_mistake_is_explained(params: dict[str, Any], message: str, tmp_path: Path) -> None:
    if params.get("labels") == 1:
        source = SOURCE.replace("number % 2}", "number % 2 + 5}").replace("labels=2", "labels=3")
        with pytest.raises(ConfigError, match=message):
            check(tmp_path, source)
        return
    with pytest.raises(ConfigError, match=message):
        check(tmp_path, **params)


def test_something_else_than_a_trainer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"make\(\) returned a int, not a transformers.Trainer"):
        check(tmp_path, "def make():\n    return 3\n")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"optimizer": "sgd"}, "optimizer"),
        ({"schedule": "cosine"}, "schedule"),
        ({"training": {"epochs": 9}}, "training.epochs"),
        ({"training": {"precision": "bf16"}}, "training.precision"),
        ({"data_seed": 1}, "data_seed"),
        ({"model": "cnn"}, "model"),
    ],
)
def test_what_the_trainers_own_arguments_decide_has_no_effect(change: dict[str, Any], field: str) -> None:
    base = {"task": "hf-trainer", "trainer": {"file": "train.py", "function": "make"}}
    with pytest.raises(ConfigError, match=rf"^{field}: no effect with the task 'hf-trainer', whose code decides it"):
        validate(RunSpec, {**base, **change})
