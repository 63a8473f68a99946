"""Models without rules that train as one by ``vmap``: the same numbers as each alone, each with its own masks."""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.tasks.base import call
from modelyard.tasks.nested import leaves, stack, unbind
from modelyard.tasks.stacked import FunctionalModel
from modelyard.tasks.stacked.functional import can_vmap

BATCH = 8


class Gated(nn.Module):
    """A layer that nobody has a rule for."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 10), nn.Linear(6, 10)
        self.scale = nn.Parameter(torch.rand(10))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(10, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(x)
        return self.out(self.dropout(torch.sigmoid(self.first(x)) * self.second(x) * self.scale))


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:  # [B, 6]
        return self.body(x.view(len(x), 2, 3).repeat(1, 1, 2)).mean(2)


def bert(dropout: float = 0.0) -> nn.Module:
    import transformers

    config = transformers.BertConfig(
        vocab_size=20,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=8,
        num_labels=3,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.BertForSequenceClassification(config)


def vit(dropout: float = 0.0) -> nn.Module:
    import transformers

    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=8,
        patch_size=2,
        num_channels=1,
        num_labels=3,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=0.0,
    )
    return transformers.ViTForImageClassification(config)


class Attending(nn.Module):
    """Fewer heads of keys than of queries, a mask, an order, and a scale of its own."""

    def __init__(self, *, causal: bool = False, scale: float | None = None, mask: Tensor | None = None) -> None:
        super().__init__()
        self.queries, self.keys, self.values = nn.Linear(6, 16), nn.Linear(6, 8), nn.Linear(6, 8)
        self.out = nn.Linear(4, 3, bias=False)
        self.norm = nn.LayerNorm(4, bias=False)
        self.options = {"is_causal": causal, "scale": scale, "enable_gqa": True}
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:  # [B, 6]
        steps = torch.stack([x, 2 * x, -x], dim=1)  # [B, 3, 6]
        queries, keys, values = (
            layer(steps).unflatten(-1, (-1, 4)).transpose(1, 2) for layer in (self.queries, self.keys, self.values)
        )
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=self.mask, **self.options)
        return self.out(self.norm(mixed)).mean((1, 2))


def vectors(count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(BATCH, 6, generator=generator) for _ in range(count)]


def tokens(count: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{"input_ids": torch.randint(0, 20, (BATCH, 6), generator=generator)} for _ in range(count)]


def pixels(count: int) -> list[dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [{"pixel_values": torch.rand(BATCH, 1, 8, 8, generator=generator)} for _ in range(count)]


def read(model: Any, batch: dict[str, Tensor]) -> Any:
    return model(**batch)


Case = tuple[Callable[..., nn.Module], Callable[[int], list[Any]], Callable[[Any, Any], Any]]
CASES: dict[str, Case] = {
    "gated": (Gated, vectors, call),
    "convolutions": (Convolutions, vectors, call),
    "bert": (bert, tokens, read),
    "vit": (vit, pixels, read),
    "attending": (Attending, vectors, call),
    "causal": (partial(Attending, causal=True, scale=0.1), vectors, call),
    "masked": (partial(Attending, mask=torch.ones(3, 3).tril().bool()), vectors, call),
    "masked by head": (partial(Attending, mask=torch.rand(1, 4, 3, 3)), vectors, call),
}


def make(build: Callable[..., nn.Module], count: int, **options: Any) -> list[nn.Module]:
    torch.manual_seed(0)
    return [build(**options).train() for _ in range(count)]


def loss_of(outputs: Any) -> Tensor:
    return (next(leaves(outputs)) - 0.3).square().mean()


def alone(members: Sequence[nn.Module], inputs: Sequence[Any], forward: Any) -> list[Tensor]:
    outputs = []
    for seed, (member, batch) in enumerate(zip(members, inputs, strict=True)):
        torch.manual_seed(seed)
        outputs.append(next(leaves(forward(member, batch))))
        loss_of(outputs[-1]).backward()
    return outputs


def together(members: Sequence[nn.Module], inputs: Sequence[Any], forward: Any, *, shared: bool = False) -> list[Any]:
    streams = [torch.Generator().manual_seed(seed) for seed in range(len(members))]
    with FunctionalModel(members, streams, forward) as model:
        outputs = unbind(model.forward(stack(inputs[:1] if shared else inputs)), len(members))
        gradients = [2 * (next(leaves(one)) - 0.3) / next(leaves(one)).numel() for one in outputs]
        model.backward(torch.stack(gradients))
        model.hand_out_gradients()
        gradients = [[parameter.grad for parameter in member.parameters()] for member in members]
    for member, own in zip(members, gradients, strict=True):
        for parameter, gradient in zip(member.parameters(), own, strict=True):
            parameter.grad = gradient
    return [next(leaves(one)) for one in outputs]


def assert_alike(members: Sequence[nn.Module], twins: Sequence[nn.Module]) -> None:
    for one, other in zip(members, twins, strict=True):
        for parameter, twin in zip(one.parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(parameter.grad, twin.grad, rtol=1e-3, atol=1e-5)
        for buffer, twin in zip(one.buffers(), other.buffers(), strict=True):
            torch.testing.assert_close(buffer, twin)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_member_gets_the_outputs_gradients_and_statistics_that_it_gets_alone(name: str, shared: bool) -> None:
    build, data, forward = CASES[name]
    members = make(build, 3)
    twins = copy.deepcopy(members)
    inputs = data(1) * 3 if shared else data(3)
    expected = alone(twins, inputs, forward)
    torch.testing.assert_close(together(members, inputs, forward, shared=shared), expected, rtol=1e-4, atol=1e-5)
    assert_alike(members, twins)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    ("build", "data", "forward"), [(Gated, vectors, call), (bert, tokens, read), (vit, pixels, read)]
)
def test_dropout_drops_what_every_member_alone_would_drop(build: Any, data: Any, forward: Any, shared: bool) -> None:
    members = [make(build, 1, dropout=rate)[0] for rate in (0.0, 0.3, 0.5)]
    twins = copy.deepcopy(members)
    inputs = data(1) * 3 if shared else data(3)
    expected = alone(twins, inputs, forward)
    torch.testing.assert_close(together(members, inputs, forward, shared=shared), expected, rtol=1e-4, atol=1e-5)
    assert_alike(members, twins)


def test_tokens_that_all_members_share_may_have_a_mask() -> None:
    members = make(bert, 2, dropout=0.2)
    twins = copy.deepcopy(members)
    mask = (torch.rand(BATCH, 6, generator=torch.Generator().manual_seed(1)) > 0.2).long()
    inputs = [{**tokens(1)[0], "attention_mask": mask}] * 2
    expected = alone(twins, inputs, read)
    torch.testing.assert_close(together(members, inputs, read, shared=True), expected, rtol=1e-4, atol=1e-5)
    assert_alike(members, twins)


def test_the_padding_row_of_an_embedding_gets_no_gradient() -> None:
    class Padded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(20, 4, padding_idx=3)

        def forward(self, x: Tensor) -> Tensor:
            return self.embedding(x).sum(1)

    members = make(Padded, 2)
    twins = copy.deepcopy(members)
    inputs = [{"x": torch.arange(20).view(2, 10)}] * 2
    alone(twins, inputs, read)
    together(members, inputs, read)
    assert_alike(members, twins)
    assert members[1].get_parameter("embedding.weight").grad[3].abs().sum() == 0


def test_random_numbers_that_no_member_would_draw_alone_are_refused() -> None:
    class Noisy(Gated):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(functional.dropout(x, 0.5, self.training))

    members = make(Noisy, 2)
    streams = [torch.Generator(), torch.Generator()]
    with FunctionalModel(members, streams, call) as model, pytest.raises(RuntimeError, match="random"):
        model.forward(stack(vectors(2)))


def test_members_that_differ_in_more_than_weights_are_refused() -> None:
    class Scaled(Gated):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

    with pytest.raises(LookupError, match=r"Scaled.factor is not the same"):
        FunctionalModel([Scaled(1.0), Scaled(2.0)], [torch.Generator(), torch.Generator()], call)


def test_a_frozen_part_stays_frozen() -> None:
    members = make(Gated, 2)
    for member in members:
        member.get_submodule("first").requires_grad_(requires_grad=False)
    together(members, vectors(2), call)
    assert all((parameter.grad is not None) == parameter.requires_grad for parameter in members[1].parameters())
    assert members[0].get_parameter("first.weight").data_ptr() != members[1].get_parameter("first.weight").data_ptr()


def test_what_is_known_not_to_work_is_not_tried() -> None:
    assert can_vmap(Gated(0.5))
    assert not can_vmap(nn.Sequential(nn.Linear(2, 2), nn.Dropout1d(0.5)))
    assert not can_vmap(nn.LSTM(2, 2))
    assert not can_vmap(nn.ReLU())


def test_a_model_may_use_vmap_itself() -> None:
    class Inner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer, self.norm = nn.Linear(6, 3), nn.LayerNorm(3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.func.vmap(lambda row: self.norm(self.layer(row)))(x)

    members = make(Inner, 2)
    twins = copy.deepcopy(members)
    inputs = vectors(2)
    expected = alone(twins, inputs, call)
    torch.testing.assert_close(together(members, inputs, call), expected, rtol=1e-4, atol=1e-5)
    assert_alike(members, twins)


def test_pretrained_transformers_can_be_stacked(tmp_path: Path) -> None:
    import transformers

    make(vit, 1)[0].save_pretrained(tmp_path)
    members = [transformers.ViTForImageClassification.from_pretrained(tmp_path).train() for _ in range(2)]
    twins = copy.deepcopy(members)
    inputs = pixels(2)
    expected = alone(twins, inputs, read)
    torch.testing.assert_close(together(members, inputs, read), expected, rtol=1e-4, atol=1e-5)
    assert_alike(members, twins)


def test_lists_of_numbers_must_be_the_same() -> None:
    class Strided(Gated):
        def __init__(self, *steps: int) -> None:
            super().__init__()
            self.steps = list(steps)

    with pytest.raises(LookupError, match=r"Strided.steps is not the same"):
        FunctionalModel([Strided(1, 2), Strided(1, 3)], [torch.Generator(), torch.Generator()], call)
