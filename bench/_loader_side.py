"""Plain PyTorch over JPEG files: a Dataset and a DataLoader for each config. Knows nothing of Modelyard.

``python _loader_side.py JOB.json`` trains the configs of a job one after the other, in one thread.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset


class Photos(Dataset[tuple[Tensor, int]]):
    """The images below a folder with one folder per class, decoded when they are asked for."""

    def __init__(self, root: Path, side: int) -> None:
        classes = sorted(path.name for path in root.iterdir())
        self.files = [(file, label) for label, name in enumerate(classes) for file in sorted((root / name).iterdir())]
        self.side = side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        file, label = self.files[index]
        with Image.open(file) as image:
            image.draft("RGB", (2 * self.side, 2 * self.side))  # a JPEG can be decoded at 1/2, 1/4 or 1/8
            pixels = np.array(image.resize((self.side, self.side), Image.Resampling.BILINEAR))
        return torch.from_numpy(pixels).permute(2, 0, 1).float().div_(127.5).sub_(1), label


class Order:
    """Batches of sample numbers in the order in which Modelyard takes them."""

    def __init__(self, samples: int, size: int) -> None:
        self.samples, self.size, self.epoch = samples, size, 0

    def __len__(self) -> int:
        return (self.samples + self.size - 1) // self.size

    def __iter__(self) -> Any:
        order = np.random.Generator(np.random.Philox(key=[0, self.epoch])).permutation(self.samples)
        yield from (order[start : start + self.size].tolist() for start in range(0, self.samples, self.size))


def train(job: dict[str, Any], rate: float) -> float:
    """Train one config; return the last validation accuracy."""
    torch.manual_seed(0)
    side, root = job["side"], Path(job["folder"])
    data = Photos(root / "train", side)
    order = Order(len(data), job["batch"])
    loader, val = DataLoader(data, batch_sampler=order), DataLoader(Photos(root / "val", side), batch_size=256)
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, 64), nn.ReLU(), nn.Linear(64, job["classes"]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01, fused=True)
    accuracy = 0.0
    for epoch in range(job["epochs"]):
        order.epoch = epoch
        for pixels, labels in loader:
            loss = functional.cross_entropy(model(pixels), labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            right = [(model(pixels).argmax(1) == labels).float() for pixels, labels in val]
        accuracy = torch.cat(right).mean().item()
    return accuracy


def main() -> None:
    """Train the configs of a job."""
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    print(json.dumps({"accuracies": [train(job, rate) for rate in job["rates"]]}))


if __name__ == "__main__":
    main()
