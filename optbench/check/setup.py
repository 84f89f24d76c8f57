"""What checks look at: the training that `train` would do, built but not begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from optbench.assemble.experiment import Experiment, build_experiment
from optbench.assemble.smallest import untouched as modules_untouched
from optbench.check.base import Skipped
from optbench.config.run_config import RunConfig
from optbench.config.run_spec import RunSpec
from optbench.data.dataset import Dataset
from optbench.search.find_lr import untouched
from optbench.tasks.base import Batch, Task
from optbench.training import rng
from optbench.training.batches import BatchStream
from optbench.training.distributed import World
from optbench.training.player import Player

QUICK = 0.25
"""Seconds that one look at a batch may take, forward and backward."""
MOST_EXAMPLES = 64
"""In such a batch."""


@dataclass
class Setup:
    """The training, and how much time there is to look at it.

    Attributes:
        spec: what the command line asked for.
        config: of the run, without compiling and graphs.
        dataset: loaded.
        world: this process and its device.
        weights: to start from; None for those that are drawn.
        seconds: for all checks together, about.
        out: a folder for pictures; None: none are made.
        ranks: that are to end as one does.
        config_dir: the user's own config files.
    """

    spec: RunSpec
    config: RunConfig
    dataset: Dataset
    world: World
    weights: Mapping[str, Tensor] | None = None
    seconds: float = 60.0
    out: Path | None = None
    ranks: int = 1
    config_dir: str | None = None

    def build(self, **changes: Any) -> Experiment:
        """Return the training, built anew as `train` builds it, with some settings changed."""
        config = replace(self.config, **changes)
        return build_experiment(config, self.dataset, self.world, self.weights, self.spec.names)

    @cached_property
    def experiment(self) -> Experiment:
        """The training as it would begin."""
        return self.build()

    @property
    def task(self) -> Task:
        """What is minimised."""
        return self.experiment.state.task

    @property
    def players(self) -> list[Player]:
        """Those that are trained; an ordinary run has one."""
        return list(self.experiment.state.players)

    @property
    def modules(self) -> dict[str, nn.Module]:
        """The bare modules by player."""
        return {player.name: player.module for player in self.players}

    @property
    def device(self) -> torch.device:
        """Where it all is."""
        return self.world.device

    @property
    def feed(self) -> BatchStream:
        """The training examples."""
        return self.experiment.feed

    @property
    def is_function(self) -> bool:
        """Whether a test function is minimised: there are no examples then."""
        return not self.task.epochs

    @property
    def classifies(self) -> bool:
        """Whether examples are inputs with one label of several classes each."""
        return "accuracy" in self.task.metrics and not self.task.tokens

    def only_player(self, why: str) -> Player:
        """Return the run's player.

        Raises:
            Skipped: there are several.
        """
        if len(self.players) > 1:
            names = " and ".join(player.name for player in self.players)
            raise Skipped(f"{names} play against each other: {why}")
        return self.players[0]

    @cached_property
    def few(self) -> int:
        """How many examples a look at a batch has, so that it takes a moment only."""
        most = min(MOST_EXAMPLES, self.feed.batch_size, len(self.feed.indices))
        count = min(2, most)
        while count < most:
            batch = self.batch(count)
            tries = (self.timed(lambda: self.loss_and_gradients(batch)) for _ in range(3))  # noqa: B023
            if all(taken * 2 > QUICK for taken in tries):  # the first one may be slow alone
                return count
            count = min(2 * count, most)
        return count

    def timed(self, what: Callable[[], object]) -> float:
        """Return the seconds that something takes."""
        begun = time.perf_counter()
        what()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - begun

    @cached_property
    def step_seconds(self) -> float:
        """About how long forward and backward of a whole step take, from a few of its examples."""
        few = self.few
        batch = self.batch(few)
        self.loss_and_gradients(batch)
        taken = min(self.timed(lambda: self.loss_and_gradients(batch)) for _ in range(2))
        return taken * max(1.0, self.feed.batch_size / max(1, self.task_size(batch)))

    def task_size(self, batch: Batch) -> int:
        """Return how many examples a batch has."""
        return self.task.size(getattr(batch, "batch", batch))

    def loss_and_gradients(self, batch: Batch) -> None:
        """Do forward and backward for every player, and leave no gradients."""
        state = self.experiment.state
        for player in self.players:
            with self.looking(), state.precision.forward():
                self.slopes(player, state.task.loss(self.modules, batch, player.name))

    def slopes(self, player: Player, loss: Tensor) -> list[Tensor | None]:
        """Return the gradients of a player's parameters, None for those that get none.

        It is asked within `looking`, whose end puts back what a backward pass may need.
        """
        if not (player.needs.gradients and loss.requires_grad):
            return [None] * len(player.parameters)
        return list(torch.autograd.grad(loss, player.parameters, allow_unused=True))

    def batch(self, count: int, augmented: bool = True, start: int = 0) -> Batch:
        """Return some training examples, as a step has them; of a task that carries a state all
        of the first step's."""
        if self.feed.lanes:
            return next(iter(self.feed.step_at(0, 0).micros)).batch
        indices = self.feed.indices[start : start + count]
        return self.examples(self.feed.source, indices, key=1 if augmented else None)

    def examples(self, source: Any, indices: Tensor, key: int | None = None) -> Batch:
        """Return examples of a source as one batch."""
        return next(iter(source.stream(indices, [(0, len(indices))], key)))

    @contextmanager
    def looking(self, training: bool = True) -> Iterator[None]:
        """Have modules in training or evaluation mode, and the random numbers of one seed.

        Buffers and generators are put back.
        """
        with modules_untouched(self.modules, self.task, self.config.compile), self.task.untouched():
            if not training:
                for module in self.modules.values():
                    module.eval()
            rng.seed_everything(self.config.seed)
            yield

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """Let the block train; afterwards all of the experiment is as it was."""
        drawn = rng.capture()
        try:
            with untouched(self.experiment.state):
                yield
        finally:
            rng.restore(drawn)

    def loss(self, batch: Batch, player: str, training: bool = True) -> float:
        """Return a player's loss of a batch."""
        state = self.experiment.state
        with self.looking(training), torch.no_grad(), state.precision.forward():
            return float(state.task.loss(self.modules, batch, player))

    def deadline(self, share: float) -> Callable[[], float]:
        """Return what tells how many seconds are left of a share of all."""
        end = time.perf_counter() + share * self.seconds
        return lambda: end - time.perf_counter()
