"""A transformer that predicts the next token.

Sources: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019 (GPT-2:
pre-norm blocks, learned positions); Press, Wolf, "Using the Output Embedding to Improve Language
Models", EACL 2017 (weight tying). Sizes, initialisation and defaults are those of nanoGPT
(A. Karpathy, 2022), without biases.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from optbench.models.arguments import check_dropout
from optbench.models.sequence_arguments import check_sizes, context_of

INIT_STD = 0.02


class CausalSelfAttention(nn.Module):
    """Multi-head attention to a token and those before it: [N, T, width] to the same shape."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query_key_value = nn.Linear(width, 3 * width, bias=bias)
        self.projection = nn.Linear(width, width, bias=bias)

    def forward(self, tokens: Tensor) -> Tensor:
        batch, length, width = tokens.shape
        split = self.query_key_value(tokens).view(batch, length, 3, self.heads, -1)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        mixed = scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        output: Tensor = self.projection(mixed.transpose(1, 2).reshape(batch, length, width))
        return output


class Block(nn.Module):
    """Pre-norm attention and a GELU network four times as wide, each with a residual connection."""

    def __init__(self, width: int, heads: int, dropout: float, bias: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, bias=bias)
        self.attention = CausalSelfAttention(width, heads, dropout, bias)
        self.norm2 = nn.LayerNorm(width, bias=bias)
        self.expand = nn.Linear(width, 4 * width, bias=bias)
        self.activation = nn.GELU()
        self.projection = nn.Linear(4 * width, width, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.attention(self.norm1(tokens)))
        inner = self.activation(self.expand(self.norm2(tokens)))
        output: Tensor = tokens + self.dropout(self.projection(inner))
        return output


class GPT(nn.Module):
    """Causal transformer: tokens int64 [N, T] to logits [N, T, num_classes], T <= the context.

    Weights start normal with standard deviation 0.02, those of the projections back to the residual
    stream with 0.02 / sqrt(2 * layers), biases 0.

    Args:
        input_shape: (context,), the most tokens that it looks at.
        num_classes: size of the vocabulary, of inputs and of logits.
        layers: number of blocks.
        heads: attention heads; must divide `width`.
        width: length of a token's vector.
        dropout: probability used in attention, after each sublayer and on the embeddings.
        bias: biases in linear layers and layer norms.
        tie: the output layer's weights are those of the token embedding.

    Raises:
        ValueError: if the inputs are not tokens, `heads` does not divide the width, a size is
            below 1 or `dropout` is outside [0, 1).
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        layers: int = 4,
        heads: int = 4,
        width: int = 128,
        dropout: float = 0.0,
        bias: bool = False,
        tie: bool = True,
    ) -> None:
        super().__init__()
        self.context = context_of("GPT", input_shape)
        check_sizes("GPT", layers=layers, heads=heads, width=width)
        if width % heads:
            raise ValueError(f"GPT: heads={heads} does not divide width={width}")
        check_dropout("GPT", dropout)
        self.tokens = nn.Embedding(num_classes, width)
        self.positions = nn.Embedding(self.context, width)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout, bias) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, bias=bias)
        self.head = nn.Linear(width, num_classes, bias=False)
        if tie:
            self.head.weight = self.tokens.weight
        self._initialise(layers)

    def _initialise(self, layers: int) -> None:
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                std = INIT_STD / math.sqrt(2 * layers) if "projection" in name else INIT_STD
                nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The transformer blocks."""
        return list(self.blocks)

    def forward(self, inputs: Tensor) -> Tensor:
        places = torch.arange(inputs.shape[1], device=inputs.device)
        tokens = self.dropout(self.tokens(inputs) + self.positions(places))
        logits: Tensor = self.head(self.norm(self.blocks(tokens)))
        return logits
