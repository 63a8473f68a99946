"""Plain PyTorch, as a careful engineer writes it: tensors in memory, fused AdamW, one evaluation per epoch.

Knows nothing of Modelyard. ``python _plain_side.py JOB.json`` trains the configs of a job one after the other.
"""

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inwards = nn.Linear(width, 3 * width)
        self.outwards = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens, width] -> the same shape."""
        batch, tokens, width = x.shape
        parts = self.inwards(x).view(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts.unbind(0))
        result: Tensor = self.outwards(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return result


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.norm2, self.expand, self.contract = (
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, tokens, width] -> the same shape."""
        x = x + self.attention(self.norm1(x))
        result: Tensor = x + self.contract(functional.gelu(self.expand(self.norm2(x))))
        return result


class Vit(nn.Module):
    """A vision transformer with a class token."""

    def __init__(self, side: int, *, patch: int, width: int, layers: int, heads: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (side // patch) ** 2 + 1, width) * 0.02)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, 1, S, S] -> [B, 10]."""
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(tokens), -1, -1), tokens], dim=1) + self.positions
        result: Tensor = self.head(self.norm(self.blocks(tokens)[:, 0]))
        return result


def build(model: dict[str, Any], side: int) -> nn.Module:
    """Build the model that Modelyard builds from the same config."""
    if model["name"] == "mlp":
        sizes = [side * side, *model["hidden_sizes"]]
        layers = [part for a, b in itertools.pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(sizes[-1], 10))
    if model["name"] == "cnn":
        sizes = [1, *model["channels"]]
        convolutions = [
            part
            for a, b in itertools.pairwise(sizes)
            for part in (nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.MaxPool2d(2))
        ]
        flat, hidden = sizes[-1] * (side // 2 ** (len(sizes) - 1)) ** 2, model["hidden_size"]
        return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    options = {name: model[name] for name in ("layers", "heads")}
    return Vit(side, patch=model["patch_size"], width=model["hidden_size"], **options)


def batches(samples: int, size: int, epoch: int) -> Iterator[Tensor]:
    """Yield the sample numbers of each batch, in the order in which Modelyard takes them."""
    order = np.random.Generator(np.random.Philox(key=[0, epoch])).permutation(samples)
    count, rest = divmod(samples, size)
    count += rest > 1
    for number in range(count):
        stop = samples if number == count - 1 else (number + 1) * size
        yield torch.from_numpy(order[number * size : stop])


def train(config: dict[str, Any], data: dict[str, Tensor], report: Callable[..., None], *, compiled: bool) -> float:
    """Train one config; return the last validation accuracy."""
    torch.manual_seed(0)
    model = build(config["model"], data["train_x"].shape[-1])
    forward = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config["learning_rate"], weight_decay=config["weight_decay"], fused=True
    )
    train_x, train_y, val_x, val_y = (data[name] for name in ("train_x", "train_y", "val_x", "val_y"))
    accuracy, losses = 0.0, []
    for epoch in range(config["epochs"]):
        model.train()
        for chosen in batches(len(train_x), config["batch_size"], epoch):
            loss = functional.cross_entropy(forward(train_x[chosen]), train_y[chosen])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            if len(losses) == 10:
                torch.stack(losses).mean().item()
                losses.clear()
        model.eval()
        with torch.no_grad():
            logits = model(val_x)
            accuracy = (logits.argmax(1) == val_y).float().mean().item()
            report(val_loss=functional.cross_entropy(logits, val_y).item(), val_accuracy=accuracy)
    return accuracy


def load(file: str) -> dict[str, Tensor]:
    """Read pixels, normalised once and for all, and class numbers."""
    arrays = np.load(file)
    return {name: torch.from_numpy(arrays[name]) for name in arrays.files}


def limit(config: dict[str, Any], data: dict[str, Tensor], members: int) -> float:
    """Return how many times as fast one model takes samples in batches ``members`` times as large."""
    seconds = []
    for size in (config["batch_size"], config["batch_size"] * members):
        chosen = torch.arange(size) % len(data["train_x"])
        x, y = data["train_x"][chosen], data["train_y"][chosen]
        model = build(config["model"], x.shape[-1])
        optimizer = torch.optim.AdamW(model.parameters(), fused=True)
        times = []
        for _ in range(300):
            start = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            times.append(time.perf_counter() - start)
        seconds.append(statistics.median(times))
    return members * seconds[0] / seconds[1]


def main() -> None:
    """Train the configs of a job, or find the limit of what a stack of its first one can gain."""
    job = json.loads(Path(sys.argv[1]).read_text())
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    data = load(job["data"])
    if "members" in job:
        print(json.dumps({"limit": limit(job["configs"][0], data, job["members"])}))
        return
    start = time.perf_counter()
    accuracies = [train(config, data, lambda **_: None, compiled=job["compiled"]) for config in job["configs"]]
    print(json.dumps({"seconds": time.perf_counter() - start, "accuracies": accuracies}))


if __name__ == "__main__":
    main()
