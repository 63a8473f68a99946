"""What is refused before anything is queued: data that cannot be opened, batches that are too large, wrong paths."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers import ViTConfig

from modelyard.agent.json_child import JsonChild
from modelyard.api.datacheck import Samples, check_clone, check_runs, check_search
from modelyard.api.experiment import Experiment, as_sweep
from modelyard.api.export import Format, choose_format
from modelyard.api.sweepfile import read_sweep, resolve_edits
from modelyard.domain.config import RunSpec, SweepSpec
from modelyard.domain.errors import ConfigError, DataError, ModelyardError, UserError
from modelyard.store import Store


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(10):
            pixels = np.full((8, 8), 100 * label + number, np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path / "photos"


def test_data_that_is_not_there_creates_nothing(home: Path, tmp_path: Path) -> None:
    data = {"source": "image-folder", "path": str(tmp_path / "nothing")}
    with pytest.raises(DataError, match=r"^data.path: there is nothing at"):
        Experiment.create({"data": data}, home=home)
    assert not home.exists()


def test_a_batch_larger_than_the_training_data_names_run_field_and_fix(photos: Path, home: Path) -> None:
    run = {"data": {"source": "image-folder", "path": str(photos)}}
    search = {"method": "grid", "space": {"training.batch_size": {"choice": [16, 17]}}}
    expected = "^cats-2: training.batch_size: 17 is larger than the 16 training samples; use at most 16$"
    with pytest.raises(ConfigError, match=expected):
        Experiment.create({"name": "cats", "run": run, "search": search}, home=home)


def test_the_check_decodes_nothing_and_keeps_to_the_data_roots(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {"source": "image-folder", "path": str(photos), "image_size": 8, "channels": 1}
    spec = RunSpec.model_validate({"data": data, "training": {"batch_size": 4}})
    (photos / "cat" / "0.png").write_bytes(b"no image")
    check_runs("cats", [spec])
    monkeypatch.setenv("MODELYARD_DATA_ROOTS", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="MODELYARD_DATA_ROOTS"):
        check_runs("cats", [spec])


def test_of_several_data_sets_the_bad_one_is_named_by_its_run(photos: Path) -> None:
    good = RunSpec()
    bad = RunSpec.model_validate({"data": {"source": "image-folder", "path": str(photos / "cat")}})
    with pytest.raises(DataError, match=r"^mix-3: "):
        check_runs("mix", [good, good, bad])


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, Any]]]:
    """Return a list with what each child process that checks was asked."""
    asked: list[list[dict[str, Any]]] = []

    class Child(JsonChild):
        def __init__(self, module: str, *, environment: Any) -> None:
            asked.append([])
            super().__init__(module, environment=environment)

        def send(self, request: dict[str, Any]) -> None:
            asked[-1].append(request)
            super().send(request)

    monkeypatch.setattr("modelyard.api.datacheck.JsonChild", Child)
    return asked


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"model": {"name": "vit", "patch_size": 3}}, "model.patch_size: 3 does not divide the image size 8"),
    ({"model": {"name": "cnn", "channels": [4, 4, 4, 4]}}, "model.channels: 4 blocks halve 8 x 8 pixels away"),
    ({"loss": {"name": "focal", "class_weights": [1.0] * 11}}, "loss.class_weights: 11 weights for 10 classes"),
    ({"loss": {"name": "cross-entropy", "class_weights": [0.0] * 10}}, "loss.class_weights: every weight is 0"),
    ({"training": {"device": "mps"}}, "training.device: this process has no mps device; use auto or cpu"),
    (
        {"training": {"batch_size": 1}, "model": {"name": "mlp", "norm": "batch"}},
        "training.batch_size: batch norm needs at least 2 samples",
    ),
    (
        {"data": {"source": "digits", "val_fraction": 0.0}, "training": {"early_stopping": {}}},
        "training.early_stopping: there is no validation data",
    ),
]


@pytest.mark.parametrize(("run", "message"), MISTAKES, ids=[message.split(":")[0] for _, message in MISTAKES])
def test_mistakes_that_only_building_shows_create_nothing(run: dict[str, Any], message: str, home: Path) -> None:
    with pytest.raises(ConfigError, match=f"^mine-1: {re.escape(message)}"):
        Experiment.create({"name": "mine", "run": run}, home=home)
    assert not home.exists()


def test_an_unknown_field_of_a_pretrained_model(tmp_path: Path) -> None:
    ViTConfig(image_size=8, patch_size=4, hidden_size=16).save_pretrained(tmp_path / "vit")
    model = {"name": "huggingface", "model": str(tmp_path / "vit"), "pretrained": False}
    good = RunSpec.model_validate({"model": model})
    check_runs("vit", [good])
    bad = RunSpec.model_validate({"model": {**model, "config": {"hidden_dropout_probe": 0.1}}})
    with pytest.raises(ConfigError, match=r"model.config.hidden_dropout_probe: .*did you mean 'hidden_dropout_prob'"):
        check_runs("vit", [bad])


def test_a_model_that_fails_in_a_way_nobody_thought_of_is_told_with_its_kind() -> None:
    spec = RunSpec.model_validate({"model": {"name": "mlp", "hidden_sizes": [1_000_000, 1_000_000]}})
    with pytest.raises(ConfigError, match=r"huge-1: model: it cannot be built for these data \(RuntimeError"):
        check_runs("huge", [spec])


def test_every_mistake_is_told_at_once_with_the_first_run_that_has_it() -> None:
    vit = {"model": {"name": "vit", "patch_size": 3}}
    specs = [RunSpec.model_validate(run) for run in ({}, vit, {"training": {"device": "mps"}}, {**vit, "seed": 1})]
    with pytest.raises(ConfigError) as caught:
        check_runs("mine", specs)
    first, second = str(caught.value).splitlines()
    assert first.startswith("mine-2: model.patch_size: ")
    assert first.endswith(" (and 1 more run)")
    assert second.startswith("mine-3: training.device: ")


def test_a_thousand_runs_take_one_child_that_builds_each_structure_once(children: list[list[dict[str, Any]]]) -> None:
    def spec(number: int) -> RunSpec:
        return RunSpec.model_validate(
            {
                "seed": number,
                "model": {"name": "mlp", "dropout": number / 2000, "hidden_sizes": [[8], [16], [32]][number % 3]},
                "optimizer": {"name": "sgd", "learning_rate": 1e-4 * (1 + number), "momentum": number / 2000},
                "loss": {"name": "cross-entropy", "label_smoothing": (1 + number) / 2000},
                "augment": [{"name": "noise", "std": (1 + number) / 2000}],
                "training": {"epochs": 1 + number},
            }
        )

    samples = check_runs("many", [spec(number) for number in range(1000)])
    assert [len(requests) for requests in children] == [3]
    assert samples == [Samples(train=1258, val=359, test=180)] * 1000


def test_a_search_by_a_metric_that_a_class_does_not_return_is_refused_with_those_it_does() -> None:
    search = {"method": "random", "samples": 2, "metric": "val_mea", "mode": "min", "scheduler": "asha"}
    space = {"optimizer.learning_rate": {"log": [1e-3, 1e-1]}}
    run = {"task": "custom", "custom": {"file": "mine.py", "class_name": "Mine"}}
    sweep = SweepSpec.model_validate({"name": "mine", "run": run, "search": {**search, "space": space}})
    tried = Samples(train=10, val=5, metrics=("val_loss", "val_mae"))
    expected = "^mine-2: search: 'val_mea' is not among the metrics of its validation: val_loss, val_mae; "
    with pytest.raises(ConfigError, match=expected):
        check_search(sweep, [None, tried])
    check_search(sweep, [None, Samples(train=10, val=5, metrics=("val_loss", "val_mea")), Samples(train=10, val=5)])


RACES = """\
import torch


class Mine:
    def data(self):
        return {"train": torch.randn(10, 3), "val": torch.randn(10, 3)}

    def build(self):
        return torch.nn.Linear(3, 1)

    def loss(self, outputs, batch):
        return (outputs - batch.sum(1, keepdim=True)).square().mean()
"""


def test_a_race_of_a_class_without_scores_is_refused_with_the_method_to_add(tmp_path: Path, home: Path) -> None:
    (tmp_path / "mine.py").write_text(RACES)
    run = {"task": "custom", "custom": {"file": str(tmp_path / "mine.py"), "class_name": "Mine"}}
    space = {"optimizer.learning_rate": {"log": [1e-3, 1e-1]}}
    search = {"method": "random", "samples": 2, "scheduler": "racing", "space": space}
    sweep = {"name": "mine", "run": {**run, "training": {"batch_size": 5}}, "search": search}
    expected = (
        r"^mine-1: search.scheduler: racing needs a score of each validation sample, and Mine has no method 'scores'; "
        r"add scores\(self, outputs, batch\) -> a number between 0 and 1 for each sample"
    )
    with pytest.raises(ConfigError, match=expected):
        Experiment.create(sweep, home=home)
    assert not home.exists()
    (tmp_path / "mine.py").write_text(
        f"{RACES}\n    def scores(self, outputs, batch):\n        return outputs[:, 0] > 0\n"
    )
    with Experiment.create(sweep, home=home) as experiment:
        assert len(experiment.runs()) == 2


def test_a_clone_is_checked_where_it_is_not_built_like_its_parent(
    children: list[list[dict[str, Any]]], store: Store
) -> None:
    parent = RunSpec()
    check_clone(store, parent, parent.model_copy(update={"seed": 7}))
    assert children == []
    bad = RunSpec.model_validate({"model": {"name": "vit", "patch_size": 3}, "training": {"batch_size": 5000}})
    with pytest.raises(ConfigError, match=r"^training.batch_size: (?s:.*)\nmodel.patch_size: "):
        check_clone(store, parent, bad)


def test_a_child_that_dies_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelyard.api.datacheck._MODULE", "modelyard.engine.nothing")
    with pytest.raises(ModelyardError, match=r"modelyard.engine.nothing"):
        check_runs("mine", [RunSpec()])


def test_a_mapping_with_a_name_is_read_like_a_sweep_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert as_sweep({"name": "mine"}).name == "mine"
    given: dict[str, Any] = {"project": "p", "run": {"data": {"source": "idx", "path": "mnist"}}}
    assert as_sweep(given).run.data.path == str(tmp_path / "mnist")  # type: ignore[union-attr]
    assert given["run"]["data"]["path"] == "mnist", "the caller's mapping stays as it was"
    with pytest.raises(ConfigError, match="optimizer"):
        as_sweep({"name": "mine", "optimizer": "sgd"})


def test_a_model_folder_beside_the_sweep_file_becomes_absolute_and_a_hub_id_stays(tmp_path: Path) -> None:
    (tmp_path / "models" / "vit").mkdir(parents=True)
    file = tmp_path / "sweep.yaml"
    for name, expected in (("models/vit", str(tmp_path / "models" / "vit")), ("google/vit", "google/vit")):
        file.write_text(f"run: {{model: {{name: huggingface, model: {name}}}}}\n")
        assert read_sweep(file).run.model.model == expected  # type: ignore[union-attr]
        assert resolve_edits({"model.model": name}, tmp_path) == {"model.model": expected}
    assert resolve_edits({"data.path": "d", "seed": 1}, tmp_path) == {"data.path": str(tmp_path / "d"), "seed": 1}


def test_the_format_of_an_export_is_what_the_name_says() -> None:
    assert choose_format(Path("x.parquet")) is Format.PARQUET
    assert choose_format(Path("x.CSV")) is Format.CSV
    assert choose_format(Path("x"), Format.TENSORBOARD) is Format.TENSORBOARD
    with pytest.raises(UserError, match="--format"):
        choose_format(Path("x.txt"))
    with pytest.raises(UserError, match="named like a parquet file, but the format is csv"):
        choose_format(Path("x.parquet"), Format.CSV)
