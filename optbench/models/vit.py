"""A small vision transformer.

Sources: Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021 (pre-norm blocks,
learned positions, class token); Beyer, Zhai, Kolesnikov, "Better plain ViT baselines for
ImageNet-1k", 2022 (mean pooling in place of the class token).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from optbench.models.arguments import check_dropout, image_dimensions, unknown_name

POOLINGS = ("mean", "class_token")
EMBEDDING_STD = 0.02


class SelfAttention(nn.Module):
    """Multi-head self-attention: [N, tokens, width] to the same shape."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length, width = tokens.shape
        split = self.query_key_value(tokens).view(batch, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        output: Tensor = self.projection(mixed.transpose(1, 2).reshape(batch, length, width))
        return output


class TransformerBlock(nn.Module):
    """Pre-norm attention and two-layer GELU network, each with a residual connection."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        inner = int(width * mlp_ratio)
        self.norm1 = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, inner),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(inner, width),
            nn.Dropout(dropout),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.attention(self.norm1(tokens)))
        output: Tensor = tokens + self.mlp(self.norm2(tokens))
        return output


class ViT(nn.Module):
    """Vision transformer: inputs [N, C, H, W] to logits [N, num_classes].

    The learned positions and the class token start from a normal of standard deviation 0.02
    cut at two of these; `optbench.models.init.initialise` leaves them alone.

    Args:
        input_shape: (C, H, W) of one example.
        num_classes: number of logits.
        patch_size: side of the square patches; must divide H and W.
        width: length of a token.
        depth: number of blocks.
        heads: attention heads; must divide `width`.
        mlp_ratio: width of a block's inner layer over `width`.
        dropout: probability used in attention, after each sublayer and on the embeddings.
        pooling: what the head sees: `mean` of the tokens, or an extra `class_token`.

    Raises:
        ValueError: if `patch_size` does not divide the image or `heads` the width, a size
            is below 1, `dropout` is outside [0, 1) or `pooling` is unknown.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        patch_size: int = 4,
        width: int = 128,
        depth: int = 6,
        heads: int = 4,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        pooling: str = "mean",
    ) -> None:
        super().__init__()
        channels, image_height, image_width = image_dimensions("ViT", input_shape)
        _check_sizes(patch_size=patch_size, width=width, depth=depth, heads=heads)
        if image_height % patch_size or image_width % patch_size:
            raise ValueError(
                f"ViT: patch_size={patch_size} does not divide input_shape={tuple(input_shape)}"
            )
        if int(width * mlp_ratio) < 1:
            raise ValueError(f"ViT: mlp_ratio={mlp_ratio} leaves no inner unit at width={width}")
        check_dropout("ViT", dropout)
        if pooling not in POOLINGS:
            raise unknown_name("pooling", pooling, POOLINGS)
        self.pooling = pooling
        self.patches = nn.Conv2d(channels, width, patch_size, stride=patch_size)
        count = (image_height // patch_size) * (image_width // patch_size)
        self.positions = _embedding(count, width)
        self.class_token = _embedding(1, width) if pooling == "class_token" else None
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, heads, mlp_ratio, dropout) for _ in range(depth))
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, num_classes)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The transformer blocks."""
        return list(self.blocks)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.patches(inputs).flatten(2).transpose(1, 2) + self.positions
        if self.class_token is not None:
            tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = self.norm(self.blocks(self.dropout(tokens)))
        pooled = tokens.mean(1) if self.class_token is None else tokens[:, 0]
        logits: Tensor = self.head(pooled)
        return logits


def _check_sizes(*, patch_size: int, width: int, depth: int, heads: int) -> None:
    sizes = {"patch_size": patch_size, "width": width, "depth": depth, "heads": heads}
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(f"ViT: {key}={value} is below 1")
    if width % heads:
        raise ValueError(f"ViT: heads={heads} does not divide width={width}")


def _embedding(count: int, width: int) -> nn.Parameter:
    cut = 2 * EMBEDDING_STD
    values = nn.init.trunc_normal_(torch.empty(1, count, width), std=EMBEDDING_STD, a=-cut, b=cut)
    return nn.Parameter(values)
