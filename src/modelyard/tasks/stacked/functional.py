"""K models of one structure as one model, for models without rules: ``torch.func.vmap`` over their weights.

A member's dropout must drop what it would drop alone. ``vmap`` can only draw anew for each member, from one stream for
all; so ``nn.Dropout`` is replaced by a layer that draws each member's mask from its own stream, and whatever else draws
random numbers raises, whereupon the members train by themselves.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from modelyard.tasks.base import Model
from modelyard.tasks.nested import Nested, leaves, map_tensors
from modelyard.tasks.stacked.model import StackedModel
from modelyard.tasks.stacked.rules import Stacking

_DRAWS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_PLAIN = (bool, int, float, str, type(None), torch.dtype)


def can_vmap(model: nn.Module) -> bool:
    """Whether members like this may be stacked so. That an operation cannot is only known when a step is taken."""
    draws = any(isinstance(module, _DRAWS) and module.p > 0 for module in model.modules())
    others = any(isinstance(module, nn.RNNBase | nn.RReLU | nn.EmbeddingBag) for module in model.modules())
    odd = any(isinstance(module, nn.Embedding) and (module.sparse or module.max_norm) for module in model.modules())
    return not (draws or others or odd) and any(parameter.requires_grad for parameter in model.parameters())


class FunctionalModel(StackedModel):
    """Computes ``forward(model, inputs)`` of all members in one go; any model whose forward is plain tensor code."""

    def __init__(
        self,
        members: Sequence[nn.Module],
        streams: Sequence[torch.Generator],
        forward: Callable[[Model, Nested], Nested],
    ) -> None:
        """Raises ``LookupError`` for members that differ in more than their weights."""
        for other in members[1:]:
            _check_alike(members[0], other)
        self._stacking = Stacking(streams)
        self._layer = self._stack(members, forward)
        self._nested: Nested = None

    def forward(self, inputs: Nested) -> Nested:
        """Return nested outputs [K, B, ...] for nested inputs [K, B, ...], or [1, B, ...] for all alike.

        The outputs have no graph: the way back is ``backward``.
        """
        self._nested = self._layer(inputs)
        return map_tensors(Tensor.detach, self._nested)

    def backward(self, gradient: Nested) -> None:
        """Add to all gradients, given those of the outputs of the last ``forward``."""
        outputs, self._nested = list(leaves(self._nested)), None
        pairs = [pair for pair in zip(outputs, leaves(gradient), strict=True) if pair[0].requires_grad]
        torch.autograd.backward([output for output, _ in pairs], [own for _, own in pairs])

    def _stack(
        self, members: Sequence[nn.Module], forward: Callable[[Model, Nested], Nested]
    ) -> Callable[[Nested], Nested]:
        stacking = self._stacking
        skeleton = copy.deepcopy(members[0]).train()
        anchors = _replace_dropouts(skeleton, members, stacking)
        _replace_padded_embeddings(skeleton)
        named = [dict(member.named_parameters()) for member in members]
        buffered = [dict(member.named_buffers()) for member in members]
        state = {
            **{name: stacking.parameter([own[name] for own in named]).value for name in named[0]},
            **{name: stacking.buffer([own[name] for own in buffered]) for name in buffered[0]},
            **anchors,
        }
        for tensor in (*skeleton.parameters(), *skeleton.buffers()):
            tensor.data = tensor.new_empty(0)  # only its place is needed

        def one(state: dict[str, Tensor], inputs: Nested) -> Nested:
            return forward(lambda *given, **named: functional_call(skeleton, state, given, named), inputs)

        def run(inputs: Nested) -> Nested:
            shared = stacking.size > 1 and all(len(tensor) == 1 for tensor in leaves(inputs))
            inputs = map_tensors(lambda tensor: tensor[0], inputs) if shared else inputs
            with sdpa_kernel(SDPBackend.MATH):  # the others have no rule for vmap, which then goes over the members
                return vmap(one, in_dims=(0, None if shared else 0), randomness="error")(state, inputs)

        return run


def _replace_dropouts(skeleton: nn.Module, members: Sequence[nn.Module], stacking: Stacking) -> dict[str, Tensor]:
    """Make the dropouts draw from the members' streams; return what to give the new layers, by name."""
    anchors = {}
    for name, module in list(skeleton.named_modules()):
        if type(module) is nn.Dropout and module.training:
            rates = [_dropout_rate(member.get_submodule(name)) for member in members]
            if any(rates):
                parent, _, attribute = name.rpartition(".")
                setattr(skeleton.get_submodule(parent), attribute, MemberDropout(rates, stacking))
                anchors[f"{name}.anchor"] = torch.zeros(stacking.size, device=stacking.streams[0].device)
                stacking.draws = True
    return anchors


def _dropout_rate(module: nn.Module) -> float:
    assert isinstance(module, nn.Dropout)
    return module.p


class MemberDropout(nn.Dropout):
    """A dropout inside ``vmap`` that draws each member's mask from that member's stream.

    A model that reads ``p`` to drop by itself gets a rate above 0, with which its own draw is refused.
    """

    anchor: Tensor
    """A number for each member, so that ``vmap`` sees all of them even where they drop from the same numbers."""

    def __init__(self, rates: Sequence[float], stacking: Stacking) -> None:
        super().__init__(max(rates))
        self.register_buffer("anchor", torch.zeros(()))
        self._rates = tuple(rates)
        self._stacking = stacking

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as nn.Dropout calls it
        """Return one member's features [B, ...] with some of them dropped."""
        streams = self._stacking.streams
        result: Tensor = _Dropout.apply(input, self.anchor, self._rates, streams)  # type: ignore[no-untyped-call]
        return result


def _replace_padded_embeddings(skeleton: nn.Module) -> None:
    for name, module in list(skeleton.named_modules()):
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            parent, _, attribute = name.rpartition(".")
            setattr(skeleton.get_submodule(parent), attribute, PaddedEmbedding(module))


class PaddedEmbedding(nn.Module):
    """An embedding whose padding row gets no gradient; under ``vmap`` torch forgets that."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.weight = embedding.weight  # the same, in case it is shared with another module
        assert embedding.padding_idx is not None
        self.padding_idx = embedding.padding_idx

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as nn.Embedding calls it
        """Return the rows [..., width] of numbers [...]."""
        rows = functional.embedding(input, self.weight)
        return torch.where(input.eq(self.padding_idx).unsqueeze(-1), rows.detach(), rows)


class _Dropout(torch.autograd.Function):
    """Sees all members at once under ``vmap``, and derivatives follow from what it does there."""

    @staticmethod
    def forward(x: Tensor, anchor: Tensor, rates: Sequence[float], streams: Sequence[torch.Generator]) -> Tensor:
        """Never happens: the anchor of every layer is one of the things that ``vmap`` goes over."""
        raise AssertionError("outside vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep nothing."""

    @staticmethod
    def vmap(  # noqa: PLR0917 - as torch calls it
        info: Any,
        in_dims: tuple[Any, ...],
        x: Tensor,
        anchor: Tensor,
        rates: Sequence[float],
        streams: Sequence[torch.Generator],
    ) -> tuple[Tensor, int]:
        """Drop numbers of ``x``, whose dimension ``in_dims[0]`` is the members; that of the result is the first."""
        x = x.expand(len(rates), *x.shape) if in_dims[0] is None else x.movedim(in_dims[0], 0)  # [K, B, ...]
        noise = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        for part, rate, stream in zip(noise.unbind(0), rates, streams, strict=True):
            if rate:
                part.bernoulli_(1 - rate, generator=stream).div_(1 - rate)
            else:
                part.fill_(1)
        return x * noise, 0


def _check_alike(one: nn.Module, other: nn.Module) -> None:
    """Raise ``LookupError`` if two models differ in an attribute of a module: one of them stands for all."""
    for (name, module), twin in zip(one.named_modules(), other.modules(), strict=True):
        for attribute, value in vars(module).items():
            if attribute == "p" and isinstance(module, nn.Dropout):
                continue
            if not _same(value, vars(twin).get(attribute)):
                raise LookupError(f"{name or type(module).__name__}.{attribute} is not the same in all models")


def _same(value: Any, other: Any) -> bool:
    if isinstance(value, Tensor):
        return isinstance(other, Tensor) and torch.equal(value, other)
    if isinstance(value, tuple | list):
        return type(other) is type(value) and len(value) == len(other) and all(map(_same, value, other))
    return not isinstance(value, _PLAIN) or bool(value == other)
