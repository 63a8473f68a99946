"""The task as the engine uses it: data by number, training loss, evaluation, prediction."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from modelyard.domain.config import RunSpec
from modelyard.domain.errors import ConfigError
from modelyard.tasks.base import Batch, Problem, SplitName
from modelyard.tasks.catalogue import task_for
from modelyard.tasks.image_classification.normalizer import Normalizer
from modelyard.tasks.image_classification.problem import ImageProblem
from modelyard.tasks.preprocessing import Preprocessing

RGB = Preprocessing(image_size=6, channels=3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
GREY = Preprocessing(image_size=8, channels=1, mean=(0.5,), std=(0.25,))


def batch(preprocessing: Preprocessing = GREY, count: int = 6) -> Batch:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, *preprocessing.shape), dtype=torch.uint8, generator=generator)
    return Batch(inputs=pixels, targets=torch.arange(count) % 2, samples=torch.arange(count))


def problem(preprocessing: Preprocessing = GREY, **fields: Any) -> ImageProblem:
    torch.manual_seed(0)
    spec = RunSpec.model_validate(fields)
    return ImageProblem(spec, classes=("no", "yes"), preprocessing=preprocessing, class_counts=(30, 10))


def training_loss(problem: Problem, given: Batch) -> Tensor:
    inputs, targets = problem.training_inputs(given, epoch=0)
    return problem.loss(problem.model(inputs), targets)


class Spy(nn.Module):
    """Keeps what it was given, and predicts it."""

    def forward(self, pixels: Tensor) -> Tensor:
        self.pixels = pixels
        return pixels.flatten(1)[:, :2]


@pytest.mark.parametrize("preprocessing", [RGB, GREY], ids=["per-channel", "one-number"])
def test_pixels_are_normalised_the_same_way_everywhere(preprocessing: Preprocessing) -> None:
    given = batch(preprocessing)
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (preprocessing.mean, preprocessing.std))
    expected = (given.inputs / 255 - mean) / std
    plain, spy = problem(preprocessing), Spy()
    trained, _ = plain.training_inputs(given, epoch=0)
    plain.evaluate(spy, given)
    assert torch.allclose(trained, expected, atol=1e-6)
    assert torch.equal(trained, spy.pixels)
    assert torch.allclose(Normalizer(preprocessing).from_unit(given.inputs / 255), expected, atol=1e-6)


def test_training_augments_and_evaluation_does_not() -> None:
    given, spy = batch(), Spy()
    before = given.inputs.clone()
    augmenting = problem(augment=[{"name": "horizontal-flip", "probability": 1.0}])
    flipped, _ = augmenting.training_inputs(given, epoch=0)
    augmenting.evaluate(spy, given)
    assert torch.allclose(flipped, spy.pixels.flip(3), atol=1e-6)
    assert torch.equal(given.inputs, before), "the batch may be shared with other runs"


def test_augmentation_changes_with_epoch_and_seed_only() -> None:
    given = batch()

    def seen(epoch: int, **fields: Any) -> Tensor:
        return problem(augment=["noise"], **fields).training_inputs(given, epoch=epoch)[0]

    assert torch.equal(seen(3), seen(3))
    assert not torch.equal(seen(3), seen(4))
    assert not torch.equal(seen(3), seen(3, seed=1))


def test_mixed_targets_reach_the_loss() -> None:
    given = batch()
    mixing = problem(augment=[{"name": "mixup", "alpha": 5.0}])
    loss = training_loss(mixing, given)
    loss.backward()
    assert torch.isfinite(loss)


def test_evaluation_reports_loss_metrics_and_artifacts_without_gradients() -> None:
    measured = problem(metrics=["accuracy", "confusion_matrix"])
    given = batch()
    measured.start_evaluation()
    loss = measured.evaluate(measured.model.eval(), given)
    assert not loss.requires_grad
    logits = measured.model(Normalizer(GREY).from_bytes(given.inputs))
    assert loss.item() == pytest.approx(nn.functional.cross_entropy(logits, given.targets).item())
    metrics, artifacts = measured.finish_evaluation()
    assert metrics == pytest.approx({"accuracy": (logits.argmax(1) == given.targets).double().mean().item()})
    assert sum(map(sum, artifacts["confusion_matrix"]["counts"])) == len(given)
    measured.start_evaluation()
    measured.evaluate(measured.model, Batch(given.inputs[:1], given.targets[:1], given.samples[:1]))
    _, artifacts = measured.finish_evaluation()
    assert sum(map(sum, artifacts["confusion_matrix"]["counts"])) == 1


def test_class_weights_use_the_training_counts() -> None:
    given = batch()
    plain, weighted = problem(), problem(loss={"name": "cross-entropy", "class_weights": "balanced"})
    only = Batch(given.inputs[:1], torch.tensor([1]), given.samples[:1])
    ratio = weighted.evaluate(weighted.model, only) / plain.evaluate(plain.model, only)
    assert ratio.item() == pytest.approx(40 / (2 * 10))


def test_other_parts_do_not_shift_the_initial_weights() -> None:
    plain = problem()
    other = problem(augment="strong", loss="focal", metrics=["auroc"])
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, other.model.state_dict()[name])


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_autocast_keeps_pixels_and_loss_in_fp32(precision: torch.dtype) -> None:
    given = batch()
    mixed = problem(augment="strong", model={"name": "cnn"})
    with torch.autocast("cpu", dtype=precision):
        inside, _ = mixed.training_inputs(given, epoch=0)
        loss = training_loss(mixed, given)
    outside, _ = mixed.training_inputs(given, epoch=0)
    assert torch.equal(inside, outside)
    assert loss.dtype == torch.float32


# The task.


def test_digits_from_data_to_prediction(tmp_path: Path) -> None:
    spec = RunSpec.model_validate({"optimizer": {"name": "adamw", "learning_rate": 0.01}})
    task = task_for(spec)
    data = task.open_data(spec)
    sizes = [data.size(split) for split in SplitName]
    assert sum(sizes) == 1797
    assert min(sizes) > 100
    torch.manual_seed(0)
    built = task.build(spec, data)
    optimizer = torch.optim.AdamW(built.model.parameters(), lr=0.01)
    order = np.random.Generator(np.random.PCG64(0)).permutation(sizes[0])
    for step in range(60):
        samples = order[step * 64 % (sizes[0] - 64) :][:64]
        optimizer.zero_grad()
        training_loss(built, data.batch(SplitName.TRAIN, samples)).backward()
        optimizer.step()
    built.start_evaluation()
    built.evaluate(built.model.eval(), data.batch(SplitName.VAL, np.arange(sizes[1])))
    metrics, _ = built.finish_evaluation()
    assert metrics["accuracy"] > 0.85
    assert set(metrics) == {"accuracy", "f1_macro"}

    predictor = task.predictor(spec, built.metadata, built.model.state_dict())
    given = data.batch(SplitName.TEST, np.array([3]))
    file = tmp_path / "digit.png"
    Image.fromarray(given.inputs[0, 0].numpy()).save(file)
    scores = predictor.predict(file)
    normalizer = Normalizer(Preprocessing.from_json(built.metadata["preprocessing"]))
    with torch.no_grad():
        logits = built.model(normalizer.from_bytes(given.inputs))
    assert list(scores) == [str(number) for number in range(10)]
    assert list(scores.values()) == pytest.approx(logits[0].softmax(0).tolist())


def test_a_batch_is_the_samples_asked_for() -> None:
    spec = RunSpec()
    data = task_for(spec).open_data(spec)
    one = data.batch(SplitName.TRAIN, np.array([5, 2, 5]))
    alone = data.batch(SplitName.TRAIN, np.array([2]))
    assert one.inputs.dtype == torch.uint8
    assert one.targets.dtype == one.samples.dtype == torch.int64
    assert one.samples.tolist() == [5, 2, 5]
    assert torch.equal(one.inputs[1], alone.inputs[0])
    assert torch.equal(one.inputs[0], one.inputs[2])
    assert one.targets[1] == alone.targets[0]


def test_data_key_is_of_the_data_alone() -> None:
    task = task_for(RunSpec())

    def key(**fields: Any) -> str:
        return task.data_key(RunSpec.model_validate(fields))

    assert key() == key(model="cnn", seed=3, data_seed=4, training={"epochs": 9})
    assert key() != key(data={"source": "digits", "image_size": 16})
    assert key() != key(data={"source": "digits", "split_seed": 1})


def test_data_key_knows_what_a_pretrained_model_wants(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "vit", "image_size": 32, "num_channels": 1}')
    pretrained = RunSpec.model_validate({"model": {"name": "huggingface", "model": str(tmp_path)}})
    task = task_for(pretrained)
    assert task.data_key(pretrained) != task.data_key(RunSpec())
    data = task.open_data(pretrained)
    assert data.batch(SplitName.TRAIN, np.array([0])).inputs.shape == (1, 1, 32, 32)


def test_watched_recall_must_be_of_a_class_that_exists() -> None:
    def build(metric: str) -> None:
        spec = RunSpec.model_validate(
            {"metrics": ["recall_per_class"], "training": {"early_stopping": {"metric": metric}}}
        )
        task = task_for(spec)
        task.build(spec, task.open_data(spec))

    build("val_recall/7")
    with pytest.raises(ConfigError, match=r"training\.early_stopping\.metric: the data have no class 'seven'"):
        build("val_recall/seven")


@pytest.mark.parametrize("field", ["checkpoint", "early_stopping"])
def test_watched_recall_must_be_of_a_class_with_validation_samples(field: str) -> None:
    # Five samples drawn from anywhere cannot cover ten classes.
    data = {"source": "digits", "val_fraction": 5 / 1797, "stratify": False}

    def build(name: str) -> None:
        watching = {field: {"metric": f"val_recall/{name}"}}
        spec = RunSpec.model_validate({"data": data, "metrics": ["recall_per_class"], "training": watching})
        task = task_for(spec)
        task.build(spec, task.open_data(spec))

    plain = RunSpec.model_validate({"data": data})
    opened = task_for(plain).open_data(plain)
    drawn = set(opened.batch(SplitName.VAL, np.arange(opened.size(SplitName.VAL))).targets.tolist())
    missing = min(set(range(10)) - drawn)
    build(str(min(drawn)))
    message = rf"training\.{field}\.metric: class '{missing}' has no validation sample, .* raise data\.val_fraction"
    with pytest.raises(ConfigError, match=message):
        build(str(missing))


def test_early_stopping_needs_validation_data() -> None:
    spec = RunSpec.model_validate(
        {"data": {"source": "digits", "val_fraction": 0}, "training": {"early_stopping": {"metric": "val_loss"}}}
    )
    task = task_for(spec)
    with pytest.raises(ConfigError, match=r"early_stopping: there is no validation data; set data\.val_fraction above"):
        task.build(spec, task.open_data(spec))


def test_wrong_combinations_of_model_and_data() -> None:
    for fields, message in (
        ({"model": {"name": "vit", "patch_size": 5}}, r"model\.patch_size: 5 does not divide the image size 8"),
        (
            {"model": {"name": "mlp", "norm": "batch"}, "training": {"batch_size": 1}},
            r"training\.batch_size: batch norm needs at least 2",
        ),
    ):
        spec = RunSpec.model_validate(fields)
        task = task_for(spec)
        with pytest.raises(ConfigError, match=message):
            task.build(spec, task.open_data(spec))
