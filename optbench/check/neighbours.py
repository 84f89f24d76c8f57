"""What a simple learner makes of some examples: neighbours and class means."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

NEAREST = 5


@dataclass(frozen=True)
class Learned:
    """How well labels follow from inputs.

    Attributes:
        accuracy: of the better of both learners.
        chance: of always saying the most frequent label.
        count: examples that were asked.
        predicted: by neighbours, int64.
    """

    accuracy: float
    chance: float
    count: int
    predicted: Tensor

    @property
    def deviations(self) -> float:
        """Standard deviations above chance."""
        spread = math.sqrt(max(self.chance * (1 - self.chance), 1e-9) / max(1, self.count))
        return (self.accuracy - self.chance) / spread


def learn(inputs: Tensor, labels: Tensor, asked: Tensor, right: Tensor) -> Learned:
    """Return how well the labels of `asked` follow from other examples."""
    train, query = _features(inputs, inputs), _features(asked, inputs)
    near = nearest(train, query)[1]
    votes = labels[near]
    predicted = votes.mode(1).values
    accuracy = float((predicted == right).float().mean())
    classes = labels.unique()
    means = torch.stack([train[labels == c].mean(0) for c in classes])
    by_mean = classes[torch.cdist(query, means).argmin(1)]
    accuracy = max(accuracy, float((by_mean == right).float().mean()))
    counts = torch.bincount(right - right.min())
    chance = float(counts.max()) / len(right)
    return Learned(accuracy, chance, len(right), predicted)


def nearest(train: Tensor, query: Tensor, count: int = NEAREST) -> tuple[Tensor, Tensor]:
    """Return distances and places of the nearest training examples."""
    parts = [torch.cdist(some, train).topk(count, largest=False) for some in query.split(256)]
    return torch.cat([p.values for p in parts]), torch.cat([p.indices for p in parts])


def _features(inputs: Tensor, by: Tensor) -> Tensor:
    flat, reference = inputs.flatten(1).float(), by.flatten(1).float()
    spread = float(reference.std())
    return (flat - reference.mean(0)) / (spread if spread > 0 else 1.0)
