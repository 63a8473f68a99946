"""Rules for our vision transformer."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from modelyard.tasks.models.vit import Block, VisionTransformer
from modelyard.tasks.stacked.features import StackedDropout
from modelyard.tasks.stacked.rules import Layer, Stacking, rule


@rule(VisionTransformer)
def _vision_transformer(models: Sequence[VisionTransformer], stacking: Stacking) -> Layer:
    size = stacking.size
    patches = stacking.layer([model.patches for model in models])
    class_token = stacking.parameter([model.class_token for model in models]).value  # [K, 1, 1, width]
    positions = stacking.parameter([model.position_embeddings for model in models]).value  # [K, 1, tokens, width]
    drop = stacking.layer([model.dropout for model in models])
    blocks = stacking.layers([model.blocks for model in models])
    norm = stacking.layer([model.norm for model in models])
    head = stacking.layer([model.head for model in models])

    def run(pixels: Tensor) -> Tensor:  # images -> [K, B, C]
        folded = patches(pixels).flatten(2)  # [B, K * width, patches]
        tokens = folded.view(len(folded), size, -1, folded.shape[-1]).permute(1, 0, 3, 2)  # [K, B, patches, width]
        first = class_token.to(tokens.dtype).expand(-1, tokens.shape[1], -1, -1)
        tokens = torch.cat([first, tokens], dim=2)
        tokens = blocks(drop(tokens + positions))
        return head(norm(tokens[:, :, :1])).squeeze(2)

    return run


@rule(Block)
def _block(blocks: Sequence[Block], stacking: Stacking) -> Layer:
    norm1 = stacking.layer([block.norm1 for block in blocks])
    attend = _attention(blocks, stacking)
    norm2 = stacking.layer([block.norm2 for block in blocks])
    expand = stacking.layer([block.expand for block in blocks])
    contract = stacking.layer([block.contract for block in blocks])
    drop = stacking.layer([block.dropout for block in blocks])

    def run(tokens: Tensor) -> Tensor:  # [K, B, tokens, width]
        tokens = tokens + drop(attend(norm1(tokens)))
        hidden = drop(functional.gelu(expand(norm2(tokens))))
        return tokens + drop(contract(hidden))

    return run


def _attention(blocks: Sequence[Block], stacking: Stacking) -> Layer:
    heads, size = blocks[0].heads, stacking.size
    queries_keys_values = stacking.layer([block.queries_keys_values for block in blocks])
    projection = stacking.layer([block.projection for block in blocks])
    rates = [block.attention_dropout for block in blocks]
    drop = StackedDropout(rates, stacking)

    def mix(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:  # each [K * B, heads, tokens, width / heads]
        if not any(rates):
            return functional.scaled_dot_product_attention(queries, keys, values)
        # With dropout torch computes it in these steps too, but draws one mask for all from the global stream.
        scale = queries.shape[-1] ** -0.25
        weights = torch.softmax((queries * scale) @ (keys * scale).transpose(-2, -1), dim=-1)
        dropped = drop(weights.view(size, -1, *weights.shape[1:])).flatten(0, 1)
        return dropped @ values

    def run(tokens: Tensor) -> Tensor:  # [K, B, tokens, width]
        batch, count, width = tokens.shape[1:]
        parts = queries_keys_values(tokens).view(size * batch, count, 3, heads, width // heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = mix(queries, keys, values)
        return projection(mixed.transpose(1, 2).reshape(size, batch, count, width))

    return run
