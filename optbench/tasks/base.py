"""What a task is to the rest of optbench."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from torch import Tensor

Batch = Any
"""What a data set's source yields; the task alone looks into it."""

Modules = Mapping[str, Callable[..., Any]]
"""The players' modules by name; an ordinary run has one, `model`."""


class Task(Protocol):
    """What is minimised, and how a model is scored."""

    metrics: tuple[str, ...]
    """The names of the scores, such as `loss`."""

    metric: str
    """The metric by which the best step is chosen, such as `val/accuracy`."""

    mode: str
    """Whether that metric is better when `max` or `min`."""

    def loss(self, modules: Modules, batch: Batch, player: str) -> Tensor:
        """The scalar that `player` minimises: a mean over the batch's examples."""
        ...

    def size(self, batch: Batch) -> int:
        """How many examples (or tokens) the batch holds: the weight of its mean."""
        ...

    def score(self, modules: Modules, batch: Batch) -> dict[str, Tensor]:
        """Sums over the batch's examples, by metric; divided by their number they are scores."""
        ...
