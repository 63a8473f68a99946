"""A vision transformer (Dosovitskiy et al., 2021) with pre-norm blocks and a class token."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelyard.domain.errors import ConfigError
from modelyard.domain.parts.models import Vit
from modelyard.tasks.models.registry import MODELS


@MODELS.register(Vit)
def build(config: Vit, *, image_size: int, channels: int, classes: Sequence[str]) -> nn.Module:
    """Build the transformer. Raises ``ConfigError`` for a patch size that does not divide the image."""
    if image_size % config.patch_size:
        divisors = [side for side in range(1, image_size + 1) if image_size % side == 0]
        raise ConfigError(
            f"model.patch_size: {config.patch_size} does not divide the image size {image_size}; "
            f"use one of {', '.join(map(str, divisors))}, or another data.image_size"
        )
    return VisionTransformer(config, side=image_size // config.patch_size, channels=channels, classes=len(classes))


class VisionTransformer(nn.Module):
    """Patches of pixels and a class token, through blocks, to the class token's logits."""

    def __init__(self, config: Vit, *, side: int, channels: int, classes: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.patches = nn.Conv2d(channels, width, config.patch_size, stride=config.patch_size)
        self.class_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position_embeddings = nn.Parameter(torch.empty(1, side**2 + 1, width))
        nn.init.trunc_normal_(self.position_embeddings, std=0.02)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.Sequential(*(Block(config) for _ in range(config.layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, channels, S, S] -> [B, C]."""
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)  # [B, patches, width]
        tokens = torch.cat([self.class_token.to(tokens.dtype).expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.blocks(self.dropout(tokens + self.position_embeddings))
        logits: Tensor = self.head(self.norm(tokens[:, 0]))
        return logits


class Block(nn.Module):
    """Self-attention and a feed-forward layer, each normalised first and added to its input."""

    def __init__(self, config: Vit) -> None:
        super().__init__()
        width = config.hidden_size
        hidden = max(1, round(width * config.mlp_ratio))
        self.heads = config.heads
        self.attention_dropout = config.dropout
        self.norm1 = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.expand = nn.Linear(width, hidden)
        self.contract = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, tokens, width] -> the same shape."""
        tokens = tokens + self.dropout(self._attend(self.norm1(tokens)))
        hidden = self.dropout(functional.gelu(self.expand(self.norm2(tokens))))
        added: Tensor = self.dropout(self.contract(hidden))
        return tokens + added

    def _attend(self, tokens: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        # [B, tokens, 3 * width] -> three of [B, heads, tokens, width / heads]
        parts = self.queries_keys_values(tokens).view(batch, count, 3, self.heads, width // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind(0)
        dropout = self.attention_dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout)
        projected: Tensor = self.projection(mixed.transpose(1, 2).reshape(batch, count, width))
        return projected
