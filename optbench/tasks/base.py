"""What a task is to the rest of optbench."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

Batch = Any
"""What a data set's source yields; the task alone looks into it."""

Modules = Mapping[str, Callable[..., Any]]
"""The players' modules by name; an ordinary run has one, `model`."""

Outputs = Any
"""What a model gives: a tensor, or tensors in tuples, lists and mappings."""

Uniform = Callable[[Sequence[int]], Tensor]
"""Gives numbers from 0 to 1 in a shape [n, ...], a row for each of a batch's n examples."""


class Lanes(NamedTuple):
    """A micro-batch of a task that carries a state from each step to the next.

    Its examples go on where those of the same lanes ended one step before.

    Attributes:
        batch: of the data set.
        first: lane of its first example, among this rank's.
        lanes: of this rank.
        position: of the step in the run; equal where a step is looked at again.
        fresh: whether the step begins an epoch, so that nothing is carried to it.
    """

    batch: Batch
    first: int
    lanes: int
    position: int
    fresh: bool


@dataclass(frozen=True)
class Shown:
    """What a task has to show of a model beside its scores, by name.

    Attributes:
        texts: such as a sample of a language model.
        images: `[channels, height, width]` with 1 or 3 channels, float from 0 to 1, on any device.
    """

    texts: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, Tensor] = field(default_factory=dict)


class Task:
    """What is minimised, and how a model is scored.

    A task says what its loss is either by `predict` and `criterion`, or, where the loss is no
    function of one model's outputs, by `loss` itself.

    `loss`, `score` and `collect` are called under autocast where there is mixed precision; `score`,
    `collect`, `whole` and `show` without gradients, with bare modules in evaluation mode. None of
    those four may draw from torch's global generator, or an evaluation would change the run.

    Attributes:
        metrics: the names of all scores, such as `loss`.
        metric: the one by which the best step is chosen, such as `val/accuracy`.
        mode: whether that is better when `max` or `min`.
        tokens: in one example, for tokens per second; 0 where there are none.
        epochs: whether a pass over the training set is worth a mean of its losses.
        curved: whether `criterion` is no linear function of the outputs, so that it has a Hessian.
        carries: whether a state is carried from step to step; `loss` then gets `Lanes`.
    """

    metrics: tuple[str, ...] = ("loss",)
    metric = "val/loss"
    mode = "min"
    tokens = 0
    epochs = True
    curved = True
    carries = False

    def loss(self, modules: Modules, batch: Batch, player: str) -> Tensor:
        """Return the scalar that `player` minimises: a mean over the batch's examples.

        By default the criterion of what is predicted.
        """
        return self.criterion(self.predict(modules, batch, player), batch)

    def predict(self, modules: Modules, batch: Batch, player: str) -> Outputs:
        """Return what `player`'s module gives for the batch."""
        raise NotImplementedError

    def criterion(self, outputs: Outputs, batch: Batch) -> Tensor:
        """Return the mean loss of outputs, in which no module has a part."""
        raise NotImplementedError

    @property
    def splits(self) -> bool:
        """Whether the loss is `criterion` of what `predict` gives, and nothing else."""
        cls = type(self)
        return cls.loss is Task.loss and cls.predict is not Task.predict

    @property
    def draws(self) -> bool:
        """Whether `drawn_loss` can be asked: the loss is the likelihood of a distribution."""
        return False

    def drawn_loss(self, outputs: Outputs, batch: Batch, uniform: Uniform) -> Tensor:
        """Return the criterion of outputs against targets drawn from what the outputs say.

        Its gradients g have E[g g^T] = the Fisher matrix, and the Gauss-Newton matrix, of a term.

        Args:
            uniform: where the draws come from.
        """
        raise NotImplementedError

    def terms(self, batch: Batch) -> int:
        """Return how many terms, each a likelihood, the loss of a batch is the mean of."""
        return self.size(batch)

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Let losses in the block keep nothing for the step that comes next."""
        yield

    def size(self, batch: Batch) -> int:
        """Return how many examples the batch holds, by its first tensor: the weight of its mean."""
        while not isinstance(batch, Tensor):
            batch = next(iter(batch.values() if isinstance(batch, Mapping) else batch))
        return len(batch)

    def wanted(self, batch: Batch) -> str | None:
        """Return what an example has to be, in words, where those of a batch are something else.

        It is asked where a batch can't be scored; None where the examples are not to blame.
        """
        return None

    def score(self, modules: Modules, batch: Batch) -> dict[str, Tensor]:
        """Return sums over the examples, by metric; divided by their number they are scores."""
        raise NotImplementedError

    def derive(self, scores: dict[str, float]) -> dict[str, float]:
        """Return all scores from the means over a set; add those that are functions of others."""
        return scores

    def collect(self, modules: Modules, batch: Batch) -> Tensor | None:
        """Return a row for each example, for scores of a set that are no sums; None without."""
        return None

    def whole(self, modules: Modules, rows: Tensor) -> dict[str, float]:
        """Return scores from all rows of a set, in its examples' order, on the model's device."""
        return {}

    def show(self, modules: Modules, batch: Batch) -> Shown | None:
        """Return samples to look at; `batch` is the first one of the validation set."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what a rank carries from one step to the next, as plain data and tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
