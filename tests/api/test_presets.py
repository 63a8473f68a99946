"""Presets are whole sweeps: once their folders are filled in, data open and models build; one is trained."""

from pathlib import Path

import pytest
from PIL import Image
from transformers import ViTConfig, ViTForImageClassification

from modelyard.api.datacheck import check_runs, check_search
from modelyard.api.experiment import Experiment
from modelyard.api.presets import MODEL, PRESETS
from modelyard.api.sweepfile import parse_runs, read_sweep


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for label, name in enumerate(("cat", "dog")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for number in range(20):
            Image.new("RGB", (64, 64), (label * 200, number * 10, 7)).save(tmp_path / "pets" / name / f"{number}.png")
    return tmp_path / "pets"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_be_queued_as_it_is(name: str, tmp_path: Path, pets: Path) -> None:
    preset = PRESETS[name]
    file = tmp_path / "sweep.yaml"
    text = preset.text(file=file, data=pets if preset.needs else None)
    if MODEL in preset.needs:
        sizes = {"image_size": 64, "patch_size": 16, "hidden_size": 16, "num_hidden_layers": 1}
        model = ViTForImageClassification(ViTConfig(**sizes, num_attention_heads=2, intermediate_size=16))
        model.save_pretrained(tmp_path / "vit")
        text = text.replace("path/to/model", "vit")
    sweep, specs = parse_runs(text, str(file))
    assert len(specs) > 1
    samples = check_runs(sweep.name, specs[:3])
    check_search(sweep, samples)


def test_the_default_preset_trains(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(PRESETS["first-try"].text(file=file).replace("epochs: 20", "epochs: 1"))
    experiment = Experiment.create(read_sweep(file), home=tmp_path / "home")
    experiment.train()
    assert {run.state for run in experiment.runs()} == {"completed"}
