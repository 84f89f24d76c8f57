"""Logistic regression on real data as a convex function, with its minimum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from optbench.models.functions.base import Function, Start, check_dim, starting_point

TOLERANCE = 1e-10
"""Norm of the gradient at the minimum that Newton's method finds."""
MOST_STEPS = 100


class LogisticRegression(Function):
    """f(x) = mean cross-entropy of all examples + penalty / 2 ||x||^2, strongly convex.

    x holds a weight for each class and input, and one for a constant input of 1, class by class.
    The minimum is found at construction, by Newton's method with step halving.

    Args:
        examples: a loaded data set; its training examples are used, all of them in every value.
        dim: classes * (inputs + 1).
        penalty: above 0; the least curvature.
        start: None for 0, where all classes are equally likely.
        dtype: see `Function`.

    Raises:
        ValueError: an argument out of range, or a minimum that is not found.
    """

    features: Tensor
    targets: Tensor

    def __init__(
        self,
        *,
        examples: Any,
        dim: int = 650,
        penalty: float = 1e-3,
        start: Start = None,
        dtype: str = "float64",
    ) -> None:
        if not 0 < penalty < float("inf"):
            raise ValueError(f"penalty={penalty}: of the weights' squares, above 0")
        features, targets = _table(examples)
        inputs, classes = features.shape[1], targets.shape[1]
        check_dim("logistic regression of these examples", dim, inputs * classes, inputs * classes)
        self.penalty = penalty
        best, minimum = newton(features, targets, penalty)
        point = starting_point(start, torch.zeros(dim))
        super().__init__(point, best.unsqueeze(0), minimum, dtype)
        self.keep("features", features)
        self.keep("targets", targets)

    def value(self, x: Tensor) -> Tensor:
        return penalised(x, self.features, self.targets, self.penalty)


def penalised(x: Tensor, features: Tensor, targets: Tensor, penalty: float) -> Tensor:
    """Return f at [..., classes * inputs], of features [n, inputs] and targets [n, classes]."""
    weights: Tensor = x.unflatten(-1, (targets.shape[1], features.shape[1]))
    logits = features @ weights.transpose(-1, -2)
    chosen = (logits * targets).sum(-1)
    entropy = (logits.logsumexp(-1) - chosen).mean(-1)
    return entropy + 0.5 * penalty * x.square().sum(-1)


def newton(features: Tensor, targets: Tensor, penalty: float) -> tuple[Tensor, float]:
    """Return the minimum and its value: gradient norm at most TOLERANCE.

    Args:
        features: float64 [n, inputs].
        targets: float64 [n, classes], one 1 in each row.
        penalty: above 0.

    Raises:
        ValueError: not found in MOST_STEPS.
    """
    x = torch.zeros(targets.shape[1] * features.shape[1], dtype=torch.float64)
    for _ in range(MOST_STEPS):
        gradient, hessian = _derivatives(x, features, targets, penalty)
        value = float(penalised(x, features, targets, penalty))
        if float(gradient.norm()) <= TOLERANCE:
            return x, value
        factor = torch.linalg.cholesky(hessian)
        step = torch.cholesky_solve(gradient.unsqueeze(1), factor).squeeze(1)
        needed = 1e-4 * float(gradient @ step)
        unseen = 1e-15 * abs(value)  # a descent that rounding hides
        while float(penalised(x - step, features, targets, penalty)) > value - needed + unseen:
            step, needed = step / 2, needed / 2
        x = x - step
    raise ValueError(f"penalty={penalty}: Newton's method finds no minimum in {MOST_STEPS} steps")


def _derivatives(
    x: Tensor, features: Tensor, targets: Tensor, penalty: float
) -> tuple[Tensor, Tensor]:
    """Return the gradient [classes * inputs] and the Hessian [.., ..]."""
    count, inputs, classes = *features.shape, targets.shape[1]
    weights = x.view(classes, inputs)
    likely = (features @ weights.T).softmax(1)
    gradient = (likely - targets).T @ features / count + penalty * weights
    hessian = torch.empty(classes, inputs, classes, inputs, dtype=x.dtype)
    for a in range(classes):
        for b in range(a + 1):
            curvature = likely[:, a] * (float(a == b) - likely[:, b]) / count
            block = features.T @ (features * curvature.unsqueeze(1))
            hessian[a, :, b, :] = block
            hessian[b, :, a, :] = block
    square = hessian.view(len(x), len(x))
    square.diagonal().add_(penalty)
    return gradient.flatten(), square


def _table(examples: Any) -> tuple[Tensor, Tensor]:
    """Return float64 features [n, inputs + 1], last a 1, and one-hot targets [n, classes]."""
    source = examples.open("train", torch.device("cpu"))
    everything = torch.arange(len(source))
    images, labels = next(iter(source.stream(everything, [(0, len(source))])))
    flat = images.flatten(1).double()
    features = torch.cat([flat, torch.ones(len(flat), 1, dtype=torch.float64)], dim=1)
    return features, one_hot(labels, examples.num_classes).double()
