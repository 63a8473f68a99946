"""Sweeps to start from: what ``modelyard init`` writes and the page offers."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from modelyard.domain.errors import UserError

FILE = Path("sweep.yaml")
IMAGES = "images"
MODEL = "model"
_DIGITS = """\
    source: digits                # 1,797 small images; needs no download
"""
_FOLDER = """\
    source: image-folder
    path: {path}
    image_size: 64
"""
_FRACTIONS = """\
    val_fraction: 0.2             # held out for validation, if the source has no split of its own
    test_fraction: 0.1            # held out for the final test with the best weights
"""
_HEAD = """\
# {about}
#   modelyard plan {file}       says what it makes, and how it would be trained here
#   modelyard train {file}      trains it, live
#   modelyard config schema           lists every field with its meaning

name: {name}

run:
  data:
{data}
"""
_FIRST = """\
  model:
    name: mlp                     # mlp, cnn, resnet, vit, huggingface
    hidden_sizes: [64, 64]
    dropout: 0.1

  loss: cross-entropy             # cross-entropy, focal, bce, mse, huber

  optimizer:
    name: adamw                   # sgd, adam, adamw, rmsprop, lion, muon
    learning_rate: 1e-3           # varied below
    weight_decay: 0.01

  schedule:
    name: warmup-cosine           # constant, step, exponential, cosine, warmup-cosine, one-cycle
    warmup: 0.1                   # share of the run

  augment: {augment}                 # none, light, standard, strong, digits, or a list

  metrics: [accuracy, f1_macro]   # measured on the validation and test data

  training:
    epochs: 20
    batch_size: {batch_size}
    early_stopping: {{metric: val_loss, patience: 5}}
    checkpoint: {{every_seconds: 60, keep: 2, metric: val_accuracy}}

  seed: 0                         # initial weights, dropout, augmentation
  data_seed: 0                    # order of the samples; the same in all runs

search:
  method: grid                    # single, grid, list; with samples: random, tpe, cma-es, nsga2
  space:
    optimizer.learning_rate: {{choice: [3e-4, 1e-3, 3e-3]}}
    model.dropout: {{choice: [0.0, 0.2]}}
  # scheduler: asha               # end runs early: asha, pasha, hyperband, median, pbt, racing
"""
_RATES = """\
  model: {{name: mlp, hidden_sizes: [128, 64]}}
  optimizer: {{name: adamw, learning_rate: 1e-3}}
  schedule: {{name: warmup-cosine, warmup: 0.1}}
  augment: {augment}
  training: {{epochs: 20, batch_size: {batch_size}}}

search:
  method: random
  samples: 12
  space:
    optimizer.learning_rate: {{log: [1e-4, 1e-1]}}
"""
_CNN = """\
  model: {{name: cnn, channels: [16, 32, 64], hidden_size: 64}}
  optimizer: {{name: adamw, learning_rate: 1e-3}}
  schedule: {{name: warmup-cosine, warmup: 0.1}}
  augment: {augment}
  metrics: [accuracy, f1_macro]
  training:
    epochs: 20
    batch_size: {batch_size}
    early_stopping: {{metric: val_loss, patience: 5}}
    checkpoint: {{metric: val_accuracy}}

search:
  method: grid
  space:
    optimizer.learning_rate: {{choice: [3e-4, 1e-3, 3e-3]}}
    model.dropout: {{choice: [0.0, 0.2]}}
"""
_FINE_TUNE = """\
  model:
    name: huggingface
    model: {model}        # a folder with config.json, or an id on the hub
    freeze_backbone: true         # train the head alone; false trains everything
  optimizer: {{name: adamw, learning_rate: 1e-3}}
  schedule: cosine
  training: {{epochs: 10, batch_size: {batch_size}}}

search:
  method: grid
  space:
    optimizer.learning_rate: {{choice: [3e-4, 1e-3, 3e-3]}}
"""
_ASHA = """\
  model: {{name: mlp, hidden_sizes: [64, 64]}}
  optimizer: {{name: adamw}}
  schedule: cosine
  augment: {augment}
  training: {{epochs: 27, batch_size: {batch_size}}}

search:
  method: random
  samples: 64
  metric: val_accuracy
  scheduler: {{name: asha, min_epochs: 1, reduction: 3}}   # at 1, 3 and 9 epochs the best third goes on
  space:
    optimizer.learning_rate: {{log: [1e-4, 1e-1]}}
    optimizer.weight_decay: {{log: [1e-5, 1e-1]}}
    model.dropout: {{float: [0.0, 0.5]}}
"""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A whole sweep, but for what only its user knows."""

    name: str
    title: str
    about: str
    body: str
    needs: tuple[str, ...] = ()
    """What has to be filled in: ``images`` (a folder of images), ``model`` (a Hugging Face folder or id)."""

    def text(self, *, file: Path = FILE, name: str = "", data: Path | None = None) -> str:
        """Return the text of a sweep file; ``data`` is a folder with one folder of images per class.

        Raises ``UserError`` if ``data`` is no folder.
        """
        if data is not None and not data.is_dir():
            raise UserError(f"{data} is not a folder; --data wants a folder with one folder of images per class")
        images = data is not None or IMAGES in self.needs
        path = "path/to/images" if data is None else _quoted(os.path.relpath(data, file.parent))
        head = _HEAD.format(
            about=self.about,
            file=file,
            name=name or self.name,
            data=(_FOLDER.format(path=path) if images else _DIGITS) + _FRACTIONS,
        )
        sizes = {"augment": "light ", "batch_size": 16} if images else {"augment": "digits", "batch_size": 64}
        return head + self.body.format(**sizes, model="path/to/model")


DEFAULT = "first-try"
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        one.name: one
        for one in (
            Preset(
                name=DEFAULT,
                title="First try on digits",
                about="A sweep: one base run, and the fields to vary.",
                body=_FIRST,
            ),
            Preset(
                name="learning-rates",
                title="Learning rates",
                about="Twelve learning rates over three orders of magnitude.",
                body=_RATES,
            ),
            Preset(
                name="image-folder",
                title="CNN on an image folder",
                about="A small convolutional network on a folder with one folder of images per class.",
                body=_CNN,
                needs=(IMAGES,),
            ),
            Preset(
                name="fine-tune",
                title="Fine-tune a Hugging Face folder",
                about="The head of a pretrained model, on a folder with one folder of images per class.",
                body=_FINE_TUNE,
                needs=(IMAGES, MODEL),
            ),
            Preset(
                name="asha",
                title="ASHA over many",
                about="64 configurations, of which only the best train to the end.",
                body=_ASHA,
            ),
        )
    }
)


def _quoted(path: str) -> str:
    """Quote a path for YAML: inside single quotes only the single quote is special."""
    return "'" + path.replace("'", "''") + "'"
