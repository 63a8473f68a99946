"""A transformers model as we train it: pixels in, logits out, frozen parts really frozen."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Self

import torch
from torch import Tensor, nn

from modelyard.domain.errors import ConfigError
from modelyard.tasks.frozen_part import FrozenPart, is_same


class HuggingFaceClassifier(nn.Module):
    """Makes a transformers model take pixels and give logits; frozen parts stay in evaluation mode."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        _make_pooling_deterministic(model)
        self.model = model
        self._frozen: tuple[nn.Module, ...] = ()
        self.head: tuple[nn.Module, ...] = ()
        """The modules from the features on, once the model gets features in place of pixels."""
        self._part: FrozenPart | None = None
        """The backbone of a model that gets features. It shares that with others, and has no tensors of it itself."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits [B, C] for pixels [B, channels, S, S], or for what ``features`` returned for them."""
        if self.head:
            return _run(self.head, inputs)
        logits: Tensor = self.model(pixel_values=inputs).logits
        return logits

    def take_features(self, head: Sequence[str], part: FrozenPart) -> None:
        """Get features in place of pixels from now on; ``head`` is what ``find_head`` returned.

        ``part`` is a backbone like its own, and takes the place of that in ``state_dict``.
        """
        self.head = tuple(self.model.get_submodule(name) for name in head)
        self._part, self._frozen = part, ()
        setattr(self.model, self.model.base_model_prefix, None)

    def find_head(self, pixels: Tensor) -> tuple[tuple[str, ...], Tensor] | None:
        """Return the names of the modules that make logits of features, in order, and the features of ``pixels``.

        All that is trained must be among these modules, and nothing before them may be random; else None.
        """
        children = {name: child for name, child in self.model.named_children() if child is not self.model.base_model}
        calls: list[tuple[str, Any, Any]] = []
        hooks = [
            child.register_forward_hook(lambda _, given, made, name=name: calls.append((name, given, made)))
            for name, child in children.items()
        ]
        try:
            logits = self._without_randomness(pixels)
        finally:
            for hook in hooks:
                hook.remove()
        head, features = _chain(calls, logits)
        inside = {id(parameter) for name in head for parameter in children[name].parameters()}
        trained = {id(parameter) for parameter in self.parameters() if parameter.requires_grad}
        return (head, features) if features is not None and head and trained <= inside else None

    def features(self, pixels: Tensor, head: Sequence[str]) -> Tensor:
        """Return what the frozen part makes of pixels [B, channels, S, S]: float [B, ...]."""
        found: list[Tensor] = []
        hook = self.model.get_submodule(head[0]).register_forward_pre_hook(lambda _, given: found.append(given[0]))
        training = self.training
        if self._part is not None:
            self._part.to_device(pixels.device)
        try:
            self.eval()
            with torch.no_grad(), self._whole():
                self.model(pixel_values=pixels)
        finally:
            hook.remove()
            self.train(training)
        return found[0]

    @property
    def backbone(self) -> nn.Module:
        """What lies before the head, of a model that gets pixels."""
        module: nn.Module = self.model.base_model
        return module

    def state_dict(self, *args: Any, **options: Any) -> Any:
        """Return all weights, those of a shared backbone among them."""
        with self._whole():
            return super().state_dict(*args, **options)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load all weights. Raises ``ValueError`` for a backbone that is not the one this model shares with others."""
        if self._part is None:
            return super().load_state_dict(state_dict, strict, assign)
        given = dict(state_dict)
        prefix = f"model.{self.model.base_model_prefix}."
        for name, tensor in self.state_dict().items():
            if name.startswith(prefix) and not (name in given and is_same(tensor, given.pop(name))):
                raise ValueError(f"{name} is not what this model shares with others; it can only load its own backbone")
        return super().load_state_dict(given, strict, assign)

    def _whole(self) -> AbstractContextManager[None]:
        """Return the context in which the model has its backbone."""
        return self._part.inside(self.model, self.model.base_model_prefix) if self._part else nullcontext()

    def _without_randomness(self, pixels: Tensor) -> Tensor | None:
        """Return the logits that training sees, with the head in evaluation mode; None if chance changed them."""
        training = self.training
        self.train()
        for child in self.model.children():
            child.eval()
        before = _RandomDraws(pixels.device)
        try:
            with torch.no_grad():
                logits: Tensor = self.model(pixel_values=pixels).logits
        finally:
            self.train(training)
        return None if before.drawn() else logits

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


class _RandomDraws:
    """Notices whether random numbers were drawn since it was made, and takes the draws back."""

    def __init__(self, device: torch.device) -> None:
        self._module: Any = torch if device.type == "cpu" else getattr(torch, device.type)
        self._state: Tensor = self._module.get_rng_state()

    def drawn(self) -> bool:
        """Whether the state of the device's generator changed; it is as before afterwards."""
        changed = not torch.equal(self._module.get_rng_state(), self._state)
        self._module.set_rng_state(self._state)
        return changed


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


def _run(modules: Sequence[nn.Module], x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x


def _chain(calls: Sequence[tuple[str, Any, Any]], logits: Tensor | None) -> tuple[tuple[str, ...], Tensor | None]:
    """Return the names of the calls (name, inputs, output) that lead one to the next up to the logits, and their input.

    A module that is called twice belongs to no such chain.
    """
    names: list[str] = []
    wanted = logits
    for name, given, made in reversed(calls):
        if wanted is not None and made is wanted and len(given) == 1:
            names.insert(0, name)
            wanted = given[0]
    return (tuple(names), wanted) if len({name for name, *_ in calls}) == len(calls) else ((), None)


def _blocks(backbone: nn.Module) -> list[nn.Module]:
    """Return the blocks in order: the items of the outermost module list with the most parameters."""
    lists: list[nn.ModuleList] = []
    for module in backbone.modules():
        inside = any(module is inner for outer in lists for inner in outer.modules())
        if isinstance(module, nn.ModuleList) and not inside:
            lists.append(module)
    sizes = [sum(parameter.numel() for parameter in found.parameters()) for found in lists]
    return list(lists[sizes.index(max(sizes))]) if lists else []
