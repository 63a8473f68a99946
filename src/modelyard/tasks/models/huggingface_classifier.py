"""A transformers model as we train it: pixels in, logits out, frozen parts really frozen."""

from typing import Any, Self

from torch import Tensor, nn

from modelyard.domain.errors import ConfigError


class HuggingFaceClassifier(nn.Module):
    """Makes a transformers model take pixels and give logits; frozen parts stay in evaluation mode."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        _make_pooling_deterministic(model)
        self.model = model
        self._frozen: tuple[nn.Module, ...] = ()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits [B, C] for pixels [B, channels, S, S]."""
        logits: Tensor = self.model(pixel_values=pixels).logits
        return logits

    def freeze_backbone(self, *, unfreeze_last: int) -> None:
        """Leave only the head, and the last blocks of the backbone, to be trained.

        Raises ``ConfigError`` for more blocks than there are.
        """
        backbone: nn.Module = self.model.base_model
        if backbone is self.model:
            raise ConfigError(
                f"model.freeze_backbone: {type(self.model).__name__} does not tell its backbone from its head; "
                "set it to false"
            )
        backbone.requires_grad_(requires_grad=False)
        blocks = _blocks(backbone)
        if unfreeze_last > len(blocks):
            raise ConfigError(
                f"model.unfreeze_last: {unfreeze_last} blocks, but the backbone has {len(blocks)}; "
                f"use at most {len(blocks)}"
            )
        live = blocks[len(blocks) - unfreeze_last :]
        for block in live:
            block.requires_grad_(requires_grad=True)
        training = {id(module) for block in live for module in block.modules()}
        self._frozen = tuple(module for module in backbone.modules() if id(module) not in training)

    def train(self, mode: bool = True) -> Self:
        """Set the mode. Frozen parts keep theirs: no dropout, and the statistics of their batch norms stay."""
        super().train(mode)
        for module in self._frozen:
            module.training = False
        return self

    def config_json(self) -> dict[str, Any]:
        """Return the model's own config, from which ``rebuild`` makes an equal one."""
        value: dict[str, Any] = {"model_type": self.model.config.model_type, **self.model.config.to_diff_dict()}
        return {key: item for key, item in value.items() if not key.startswith("_")}


class _GlobalMean(nn.Module):
    """[B, C, H, W] -> [B, C, 1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=True)


def _make_pooling_deterministic(model: nn.Module) -> None:
    """Replace global average pooling by the mean: the same numbers, with a deterministic gradient on CUDA too."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size in (1, (1, 1)):
                setattr(module, name, _GlobalMean())


def _blocks(backbone: nn.Module) -> list[nn.Module]:
    """Return the blocks in order: the items of the outermost module list with the most parameters."""
    lists: list[nn.ModuleList] = []
    for module in backbone.modules():
        inside = any(module is inner for outer in lists for inner in outer.modules())
        if isinstance(module, nn.ModuleList) and not inside:
            lists.append(module)
    sizes = [sum(parameter.numel() for parameter in found.parameters()) for found in lists]
    return list(lists[sizes.index(max(sizes))]) if lists else []
