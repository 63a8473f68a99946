"""What ``modelyard init --task custom`` writes: a class to start from, and a sweep over its params."""

TASK_FILE = "my_task.py"

TASK = '''\
"""Predicts how a disease goes on, for the 442 patients that come with scikit-learn."""

import torch
from sklearn.datasets import load_diabetes
from torch import nn
from torch.nn import functional


class MyTask:
    def __init__(self, width: int = 32, dropout: float = 0.0):
        self.width, self.dropout = width, dropout

    @staticmethod
    def data():
        rows, progress = load_diabetes(return_X_y=True)
        x, y = torch.tensor(rows).float() * 20, (torch.tensor(progress).float() - 152) / 77
        return {"train": (x[:300], y[:300]), "val": (x[300:370], y[300:370]), "test": (x[370:], y[370:])}

    def build(self):
        return nn.Sequential(nn.Linear(10, self.width), nn.ReLU(), nn.Dropout(self.dropout), nn.Linear(self.width, 1))

    def loss(self, outputs, batch):
        return functional.mse_loss(outputs.squeeze(1), batch[1])

    def metrics(self, outputs, batch):
        return {"mae": (outputs.squeeze(1) - batch[1]).abs() * 77}
'''

SWEEP = """\
# sweep
# A class of your own, and what to vary.
#   modelyard plan {file}       says what it makes, and how it would be trained here
#   modelyard train {file}      trains it, live
#   modelyard config schema           lists every field with its meaning

name: {name}

run:
  task: custom
  custom:
    file: {task_file}              # each run keeps this file as it is when the run is submitted
    class_name: MyTask
    params: {{width: 32}}           # keyword arguments of the class

  optimizer: {{name: adamw, learning_rate: 3e-3, weight_decay: 0.01}}
  schedule: cosine

  training:
    epochs: 40
    batch_size: 32
    early_stopping: {{metric: val_mae, mode: min, patience: 10}}
    checkpoint: {{metric: val_mae, mode: min}}

search:
  method: grid                    # single, grid, random (needs samples), list
  space:
    custom.params.width: {{choice: [16, 64]}}
    custom.params.dropout: {{choice: [0.0, 0.2]}}
    optimizer.learning_rate: {{choice: [3e-3, 1e-2]}}
"""
