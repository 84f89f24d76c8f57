"""Parts of the trainings of doctor_corpus.py: small models, data and losses, and what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from optbench.models.mlp import MLP

TEST = 360
MEAN, STD = 0.3051, 0.3759


class FaultyMLP(nn.Module):
    """An MLP whose hidden weights are multiplied, biases shifted, outputs multiplied."""

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        hidden: Sequence[int] = (64, 64),
        activation: str = "relu",
        gain: float = 1.0,
        bias: float = 0.0,
        out: float = 1.0,
    ) -> None:
        super().__init__()
        self.net = MLP(
            input_shape=input_shape, num_classes=num_classes, hidden=hidden, activation=activation
        )
        self.out = out
        with torch.no_grad():
            for layer in self.net.blocks.modules():
                if isinstance(layer, nn.Linear):
                    layer.weight.mul_(gain)
                    layer.bias.add_(bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, classes]."""
        logits: Tensor = self.net(x)
        return logits * self.out


class Cells(nn.Module):
    """A recurrent network on tokens; its recurrent weights multiplied, or it sees what comes.

    Args:
        kind: torch's class.
        gain: of the weights from state to state.
        peek: how much of the next token's embedding is added to each token's.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        num_classes: int,
        kind: str = "LSTM",
        width: int = 48,
        gain: float = 1.0,
        peek: float = 0.0,
        nonlinearity: str = "tanh",
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_classes, width)
        more = {"nonlinearity": nonlinearity} if kind == "RNN" else {}
        self.cell = getattr(nn, kind)(width, width, batch_first=True, **more)
        self.head = nn.Linear(width, num_classes)
        self.peek = peek
        with torch.no_grad():
            self.cell.weight_hh_l0.mul_(gain)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [N, T, classes]."""
        inputs = self.embedding(tokens)
        if self.peek:
            inputs = inputs + self.peek * self.embedding(torch.roll(tokens, -1, dims=1))
        logits: Tensor = self.head(self.cell(inputs)[0])
        return logits


class Shifted(nn.Module):
    """Cross-entropy less a constant."""

    def __init__(self, shift: float = 1.0) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over examples."""
        return nn.functional.cross_entropy(logits, labels) - self.shift


class Scaled(nn.Module):
    """Cross-entropy, multiplied."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The mean over examples."""
        return nn.functional.cross_entropy(logits, labels) * self.factor


def digits(
    train: bool = True,
    size: int = 0,
    noise: float = 0.0,
    leak: float = 0.0,
    scale: float = 1.0,
) -> TensorDataset:
    """scikit-learn's digits with something wrong.

    Args:
        train: the training set, else the test set.
        size: so many training examples only; 0: all.
        noise: the share of training labels that are drawn anew.
        leak: of the label, added to a pixel of the first row, in both sets.
        scale: of all inputs.
    """
    found = load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    rows = order[TEST:] if train else order[:TEST]
    x = (found.images[rows][:, None] / 16 - MEAN) / STD * scale
    y = found.target[rows].copy()
    draw = np.random.default_rng(1)
    if train and size:
        x, y = x[:size], y[:size]
    if leak:
        x[np.arange(len(y)), 0, 0, y % 8] += 3 * leak
        x[np.arange(len(y)), 0, 7, y // 8] += 3 * leak
    if train and noise:
        wrong = draw.random(len(y)) < noise
        y[wrong] = draw.integers(0, 10, wrong.sum())
    return TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))


def bump(step: int, total_steps: int, at: float = 0.5, factor: float = 30.0) -> float:
    """A constant learning rate, multiplied in three steps."""
    return factor if 0 <= step - int(at * total_steps) < 3 else 1.0


def write_text(path: Path, seed: int = 0, size: int = 60_000) -> None:
    """Write a text of made-up words, whose order follows a grammar and chance."""
    draw = np.random.default_rng(seed)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words = ["".join(draw.choice(syllables, draw.integers(1, 4))) for _ in range(120)]
    follow = [draw.choice(120, 6, replace=False) for _ in words]
    text, word = [], 0
    length = 0
    while length < size:
        word = int(draw.integers(120)) if draw.random() < 0.1 else int(draw.choice(follow[word]))
        text.append(words[word] + (". " if draw.random() < 0.1 else " "))
        length += len(text[-1])
    path.write_text("".join(text), encoding="utf-8")
