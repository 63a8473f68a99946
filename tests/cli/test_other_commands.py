"""init, plan, config, checkpoints, datasets, predict, storage, gc, doctor."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from modelyard.agent.devices import DeviceInfo, Machine
from modelyard.agent.predictor import Prediction
from modelyard.api.sweepfile import read_sweep
from modelyard.store import Store


@pytest.mark.covers("init", "init --name", "init --json")
def test_init_writes_a_sweep_that_can_be_planned(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "My Sweep.yaml"
    assert cli("init", file).out == f"wrote {file}; next: modelyard train {file}\n"
    sweep = read_sweep(file)
    assert sweep.name == "my-sweep"
    assert cli("plan", file, "--no-probe", "--json").json["runs"][5] == {
        "optimizer.learning_rate": 0.003,
        "model.dropout": 0.2,
    }
    assert "# " in file.read_text()
    before = file.read_bytes()
    assert "exists; choose another name" in cli.fails(2, "init", file)
    assert file.read_bytes() == before
    assert cli("init", tmp_path / "b.yaml", "--name", "other", "--json").json["file"] == str(tmp_path / "b.yaml")
    assert read_sweep(tmp_path / "b.yaml").name == "other"


@pytest.mark.covers("init --data")
def test_init_for_a_folder_of_images(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "it's pictures").mkdir()
    (tmp_path / "sweeps").mkdir()
    file = tmp_path / "sweeps" / "s.yaml"
    cli("init", file, "--data", tmp_path / "it's pictures")
    assert read_sweep(file).run.data.model_dump()["path"] == str(tmp_path / "it's pictures")
    assert "is not a folder" in cli.fails(2, "init", tmp_path / "t.yaml", "--data", tmp_path / "none")


@pytest.mark.covers("init --preset")
def test_init_with_a_preset(cli: Any, tmp_path: Path) -> None:
    cli("init", tmp_path / "many.yaml", "--preset", "asha")
    sweep = read_sweep(tmp_path / "many.yaml")
    assert (sweep.name, sweep.search.scheduler.name, sweep.search.samples) == ("many", "asha", 64)
    assert "--preset" in cli.fails(2, "init", tmp_path / "c.yaml", "--preset", "asha", "--task", "custom")


def test_the_template_names_every_kind_of_part() -> None:
    """The comments list the kinds; a kind that is added must be added there."""
    from modelyard.api.presets import PRESETS as SWEEPS
    from modelyard.domain.introspection import configs, kinds
    from modelyard.domain.parts.augmentations import PRESETS
    from modelyard.domain.search import SearchConfig

    text = SWEEPS["first-try"].text()
    for part in ("model", "loss", "optimizer", "schedule"):
        line = next(line for line in text.splitlines() if "#" in line and f", {list(_kinds(part))[-1]}" in line)
        assert line.split("#")[1].strip().removesuffix(",").split(", ") == list(_kinds(part))
    assert ", ".join(PRESETS) in text
    methods = SearchConfig.model_json_schema()["properties"]["method"]["enum"]
    assert all(method in text.split("method: ")[1].splitlines()[0] for method in methods)
    schedulers = kinds(configs(SearchConfig.model_fields["scheduler"].annotation)).keys() - {"none"}
    assert all(name in text.split("scheduler: ")[1].splitlines()[0] for name in schedulers)


def _kinds(part: str) -> dict[str, Any]:
    from modelyard.domain.config import RunSpec
    from modelyard.domain.introspection import configs, kinds

    return dict(kinds(configs(RunSpec.model_fields[part].annotation)))


@pytest.mark.covers("plan", "plan --json", "plan --execution", "plan --processes", "plan --slots", "plan --set")
def test_plan_says_what_and_why_and_creates_nothing(cli: Any, sweep: Path, store: Store) -> None:
    text = cli("plan", sweep, "--no-probe").out
    assert text.startswith("digits: 2 runs\nplan: 2 runs on ")
    assert "digits-2  0.02" in text
    document = cli(
        "plan",
        sweep,
        "--no-probe",
        "--json",
        "--execution",
        "sliced",
        "--processes",
        "1",
        "--slots",
        "2",
        "--set",
        "training.threads=1",
    ).json
    assert [(group["execution"], group["slots"]) for group in document["groups"]] == [("sliced", 2)]
    assert "as asked for" in document["groups"][0]["reason"]
    assert document["runs"] == [{"optimizer.learning_rate": 0.01}, {"optimizer.learning_rate": 0.02}]
    assert "unknown" in cli.fails(2, "plan", sweep, "--set", "model.name=none")
    assert store.experiments.list() == []


@pytest.mark.covers("config show", "config show --json", "config show --set")
def test_config_show_fills_in_defaults(cli: Any, sweep: Path) -> None:
    text = cli("config", "show", sweep, "--set", "seed=4").out
    shown = yaml.safe_load(text)
    assert shown["run"]["seed"] == 4
    assert shown["run"]["training"]["batch_size"] == 64
    document = cli("config", "show", sweep, "--json").json
    assert document["hash"] == read_sweep(sweep).hash


@pytest.mark.covers("config schema", "config schema --json")
def test_config_schema_tells_every_field(cli: Any) -> None:
    text = cli("config", "schema", "run.optimizer").out
    assert "Stochastic gradient descent." in text
    assert "Base step size; the schedule multiplies it." in text
    assert "momentum" in cli("config", "schema", "run.optimizer.momentum").out
    assert "project" in cli("config", "schema").out
    assert cli("config", "schema", "--json").json["title"] == "SweepSpec"
    assert "sgd" in cli("config", "schema", "run.optimizer", "--json").json
    assert "did you mean 'optimizer'" in cli.fails(2, "config", "schema", "run.optimiser")
    for part in ("run.data", "run.model", "run.loss", "run.schedule", "run.augment", "run.metrics", "run.training"):
        assert "meaning" in cli("config", "schema", part).out


@pytest.mark.covers("checkpoints list", "checkpoints list --json", "checkpoints show", "checkpoints show --json")
def test_checkpoints_are_listed_and_shown(trained: Any, store: Store) -> None:
    best = store.checkpoints.find(store.runs.get("digits-1").id, "best")
    assert f"{best.id}    20      2" in trained("checkpoints", "list", "digits-1").out
    assert trained("checkpoints", "list", "digits-1", "--json").json[0]["tags"] == ["best", "last"]
    for ref in (best.id, best.id[:8], "digits-1:best", "digits-1:last", "digits-1:20"):
        assert trained("checkpoints", "show", ref, "--json").json["id"] == best.id
    text = trained("checkpoints", "show", best.id).out
    assert "model.safetensors" in text
    assert "training can go on from it" in text
    assert "it has steps 20" in trained.fails(3, "checkpoints", "show", "digits-1:7")
    assert "no checkpoint" in trained.fails(3, "checkpoints", "show", "ffffffff")


@pytest.mark.covers("checkpoints export", "checkpoints export --output", "checkpoints export --json")
def test_checkpoints_are_exported_whole_or_not_at_all(trained: Any, tmp_path: Path, store: Store) -> None:
    trained("checkpoints", "export", "digits-1:best", "--output", tmp_path / "out")
    run = store.runs.get("digits-1")
    assert (tmp_path / "out" / "model.safetensors").read_text() == f"weights of {run.id} at 20"
    assert "exists" in trained.fails(2, "checkpoints", "export", "digits-1:best", "-o", tmp_path / "out")
    files = trained("checkpoints", "export", "digits-1:last", "-o", tmp_path / "two", "--json").json["files"]
    assert sorted(Path(file).name for file in files) == ["model.safetensors", "state.safetensors"]
    blob = store.blobs.path(store.checkpoints.find(run.id, "best").files["model.safetensors"].digest)
    blob.chmod(0o600)
    blob.write_text("spoiled")
    assert "model.safetensors is damaged" in trained.fails(
        6, "checkpoints", "export", "digits-1:best", "-o", tmp_path / "x"
    )
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "home") == ["out", "sweep.yaml", "two"]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for split, count in (("train", 4), ("val", 2)):
        for label, color in (("cat", 40), ("dog", 200)):
            folder = tmp_path / "pictures" / split / label
            folder.mkdir(parents=True)
            for index in range(count):
                Image.new("L", (12, 12), color + index + 10 * (split == "val")).save(folder / f"{index}.png")
    return tmp_path / "pictures"


@pytest.mark.covers("datasets inspect", "datasets inspect --json", "datasets inspect --set")
def test_a_data_set_is_inspected(cli: Any, pictures: Path) -> None:
    text = cli("datasets", "inspect", pictures).out
    assert "image-folder, 2 classes" in text
    assert ["cat", "4", "2", "0"] in [line.split() for line in text.splitlines()]
    (pictures / "train/cat/9.png").write_bytes(b"no image")
    output = cli("datasets", "inspect", pictures, "--json", expect=2)
    assert output.json["corrupt"][0]["name"].endswith("cat/9.png")
    assert "9.png" in cli("datasets", "inspect", pictures, expect=2).err
    assert "image_size" in cli.fails(2, "datasets", "inspect", pictures, "--set", "data.image_size=1")


def test_a_relative_path_starts_at_the_sweep_file_as_in_training(cli: Any, pictures: Path, home: Path) -> None:
    folder = home.parent / "sweeps"
    folder.mkdir()
    pictures.rename(folder / "moved")
    (folder / "sweep.yaml").write_text("run: {data: {source: digits}}\n")
    edits = ("--set", "data.source=image-folder", "--set", "data.path=moved")
    assert f"{folder / 'moved'}" in cli("datasets", "inspect", folder / "sweep.yaml", *edits).out


@pytest.mark.covers("datasets inspect --source")
def test_what_cannot_be_a_data_set(cli: Any, tmp_path: Path, pictures: Path) -> None:
    assert "no such file or folder" in cli.fails(2, "datasets", "inspect", tmp_path / "none")
    assert "unknown source 'folder'" in cli.fails(2, "datasets", "inspect", pictures, "--source", "folder")
    cli("datasets", "inspect", pictures, "--source", "idx", expect=2)


def test_a_sweep_files_data_is_inspected(cli: Any, pictures: Path, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("run:\n  data: {source: image-folder, path: pictures}\n")
    assert "2 classes" in cli("datasets", "inspect", file).out


@pytest.mark.covers("predict", "predict --run", "predict --checkpoint", "predict --top", "predict --json")
def test_predict_uses_the_checkpoint_that_is_named(
    trained: Any, store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def predict(store: Store, checkpoint: Any, files: list[Path], *, top: int) -> list[Prediction]:
        seen.append((checkpoint.id, [str(file) for file in files], top))
        return [
            Prediction(file=str(file), label=None, probabilities={}, error="not an image")
            if "bad" in str(file)
            else Prediction(file=str(file), label="cat", probabilities={"cat": 0.9, "dog": 0.1})
            for file in files
        ]

    monkeypatch.setattr("modelyard.cli.predict.predict_files", predict)
    monkeypatch.chdir(tmp_path)
    for name in ("a.png", "bad.png"):
        Path(name).touch()
    best = store.checkpoints.find(store.runs.get("digits-1").id, "best")
    assert trained("predict", "a.png", "--run", "digits-1").out.splitlines()[1].split() == [
        "a.png", "cat", "90.0%", "dog", "10.0%"
    ]  # fmt: skip
    trained("predict", "a.png", "--checkpoint", best.id, "--top", "1")
    trained("predict", "a.png", "-c", "digits-1:last")
    assert seen == [(best.id, ["a.png"], 3), (best.id, ["a.png"], 1), (best.id, ["a.png"], 3)]
    output = trained("predict", "a.png", "bad.png", "-r", "digits-1", expect=2)
    assert "a.png" in output.out
    assert "bad.png: not an image" in output.err
    document = trained("predict", "a.png", "bad.png", "-r", "digits-1", "--json", expect=2).json
    assert [entry["label"] for entry in document["predictions"]] == ["cat", None]
    assert "--run RUN or --checkpoint" in trained.fails(2, "predict", "a.png")


@pytest.mark.covers("storage", "storage --json", "gc", "gc --dry-run", "gc --json")
def test_storage_and_gc(trained: Any, store: Store) -> None:
    assert "checkpoints" in trained("storage").out
    usage = trained("storage", "--json").json
    assert usage["by_experiment"]["digits"] > 0
    assert usage["home"] == str(trained.home)
    own = store.gc.footprint([run.id for run in store.runs.list()]).own
    assert trained("delete", "digits", "-y", "--json").json["freed_bytes"] == own > 0
    store.blobs.unpin([store.blobs.put([b"nobody needs this"])])
    would = trained("gc", "--dry-run", "--json").json
    assert would["dry_run"] is True
    assert would["blobs"] == 1
    assert trained("gc", "--dry-run").out.startswith(f"would delete {would['blobs']} blobs")
    assert trained("gc").out.startswith(f"deleted {would['blobs']} blobs")
    assert trained("gc", "--json").json["blobs"] == 0


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Machine(
        devices=(DeviceInfo(name="cpu", kind="cpu", model="chip", memory_bytes=2**30),), environment={"torch": "2.0"}
    )
    monkeypatch.setattr("modelyard.api.health.probe_machine", lambda: found)


@pytest.mark.covers("doctor", "doctor --json")
def test_doctor_checks_the_installation(cli: Any, machine: None) -> None:
    text = cli("doctor").out
    assert "device cpu: chip, 1.0 GiB" in text
    assert str(cli.home) in text
    verdicts = {check["name"]: check["verdict"] for check in cli("doctor", "--json").json}
    assert verdicts["home"] == "ok"
    cli.home.chmod(0o755)
    assert {c["name"]: c["verdict"] for c in cli("doctor", "--json").json}["permissions"] == "warning"


def test_doctor_names_what_is_wrong(cli: Any, machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelyard.domain.errors import MissingExtraError

    def none() -> Machine:
        raise MissingExtraError("No module named 'torch'; install it with: pip install 'modelyard[train]'")

    monkeypatch.setattr("modelyard.api.health.probe_machine", none)
    assert "problem  torch: No module named 'torch'; install it" in cli("doctor", expect=1).out
    cli.home.joinpath("home.json").write_text("{")
    checks = json.loads(cli("doctor", "--json", expect=1).out)
    assert {check["name"] for check in checks if check["verdict"] == "problem"} == {"home", "torch"}
