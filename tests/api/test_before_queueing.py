"""What is refused before anything is queued: data that cannot be opened, batches that are too large, wrong paths."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from modelyard.api.datacheck import check_runs
from modelyard.api.experiment import Experiment, as_sweep
from modelyard.api.export import Format, choose_format
from modelyard.api.sweepfile import read_sweep, resolve_edits
from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError, DataError, UserError


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
