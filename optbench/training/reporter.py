"""From what a run measures to records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from optbench.monitor.activations import ActivationWatch
from optbench.monitor.histograms import histograms
from optbench.monitor.images import images
from optbench.monitor.memory import PeakMemory
from optbench.monitor.record import Record, Recorder
from optbench.monitor.updates import UpdateWatch
from optbench.optim.measured import measured, timed
from optbench.tasks.base import Shown
from optbench.training.checkpointer import RunState, is_clocked
from optbench.training.efficiency import Efficiency
from optbench.training.losses import Sum
from optbench.training.player import Player
from optbench.training.settings import Settings


class Reporter:
    """Makes records of a run's state; the ranks' losses become one.

    Args:
        state: of the run.
        steps_per_epoch: for the records' epoch.
        recorder: takes the records.
        settings: what is measured, and how often.
        efficiency: what is made of the device, where that is asked for.
    """

    def __init__(
        self,
        state: RunState,
        steps_per_epoch: int,
        recorder: Recorder,
        settings: Settings,
        efficiency: Efficiency | None = None,
    ) -> None:
        self.state, self.world, self.recorder = state, state.world, recorder
        self._efficiency = efficiency
        self.texts: dict[str, str] = {}
        self.watching = state.watching
        every = settings.cadence.monitor if settings.activations else 0
        self.watches = [
            UpdateWatch(
                p.names,
                p.parameters,
                settings.per_parameter,
                state.watching,
                ActivationWatch(p.module, every, state.watching) if every else None,
                state.strategy.across(),
            )
            for p in state.players
        ]
        self.metrics = state.metrics
        self._memory = PeakMemory(state.world.device)
        self._steps_per_epoch = steps_per_epoch
        self._marks = (state.progress.seconds, state.progress.examples)

    def go_on_from(self, metrics: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Take over the last values and texts from the records of the run's part before.

        Those that its checkpoint has are true whatever has become of the records.
        """
        known = dict(self.metrics)
        self.metrics.update({t: v for t, v in metrics.items() if not known or is_clocked(t)})
        self.texts.update(texts)

    def write(self, kind: str, values: Mapping[str, float]) -> None:
        """Make one record."""
        now = self.state.progress
        epoch = now.epoch + now.index / self._steps_per_epoch
        self.metrics.update(values)
        record = Record(kind, now.step, epoch, now.examples, now.seconds, values, passes=now.passes)
        with self.watching.of("records"):
            self.recorder.write(record)

    def of_player(self, player: Player, values: Mapping[str, float]) -> Mapping[str, float]:
        """Return a player's loss and norms, tagged as if it were the only one, and the rest."""
        if len(self.state.players) == 1:
            return values
        own = {f"/{player.name}/": "/", f"/{player.name}": ""}
        found = dict(values)
        for tag, value in values.items():
            for part, plain in own.items():
                if part in tag and (part.endswith("/") or tag.endswith(part)):
                    found[tag.replace(part, plain)] = value
                    break
        return found

    def norms(self) -> dict[str, float]:
        """Return gradient norms, update ratios and parameter norms of the step that was watched."""
        found: dict[str, float] = {}
        for player, watch in zip(self.state.players, self.watches, strict=True):
            if not watch.fresh:  # it was not watched, or its update was left out
                continue
            with self.watching.of("update_ratios"):
                prefix, values = self._prefix(player), watch.read()
            found |= {_prefixed(t, prefix): v for t, v in values.items()} if prefix else values
        return found

    def training(self) -> dict[str, float]:
        """Return loss since the last report, what the last update took, throughput and memory."""
        with self.watching.of("records"):
            return self._training()

    def _training(self) -> dict[str, float]:
        progress = self.state.progress
        progress.reported = progress.step
        values = {
            tag: lr
            for player in self.state.players
            for tag, lr in player.hyperparameters.lrs.items()
        }
        for player in self.state.players:
            values |= self._loss(player, player.loss.report())
            prefix, optimizer = self._prefix(player), player.optimizer
            values |= {f"optimizer/{prefix}{n}": value for n, value in measured(optimizer).items()}
            values |= {f"throughput/{prefix}{n}_seconds": v for n, v in timed(optimizer).items()}
        seconds = progress.seconds - self._marks[0]
        if seconds > 0:
            speed = (progress.examples - self._marks[1]) / seconds
            values["throughput/examples_per_second"] = speed
            if self.state.task.tokens:
                values["throughput/tokens_per_second"] = speed * self.state.task.tokens
            if self._efficiency is not None:
                values |= self._efficiency.at(speed)
        self._marks = (progress.seconds, progress.examples)
        values["memory/peak_mib"] = self._memory.mib()
        scaler = self.state.precision.scaler
        if scaler is not None:
            values["precision/loss_scale"] = self.state.precision.scale
            values["precision/skipped_steps"] = float(progress.skipped)
        return values

    def losses_of_the_epoch(self) -> dict[str, float]:
        """Return each player's mean over the last complete epoch, or what there is of the first."""
        found: dict[str, float] = {}
        if self.state.task.epochs:
            for player in self.state.players:
                found |= self._loss(player, player.loss.last_epoch(self.state.progress.epoch))
        return found

    def _loss(self, player: Player, own: Sum) -> dict[str, float]:
        """Return the mean over all ranks' losses by tag; nothing if there are none."""
        total, examples = own
        if self.world.size > 1:  # every rank's losses average to the batch's
            both = torch.tensor([total, examples], dtype=torch.float64)
            total, examples = self.world.sum(both).tolist()
        several = len(self.state.players) > 1
        tag = f"train/loss/{player.name}" if several else "train/loss"
        return {tag: total / examples} if examples else {}

    def show(self, shown: Shown) -> None:
        """Record what a task has to show."""
        self.texts.update(shown.texts)
        self.recorder.show(self.state.progress.step, shown.texts, images(shown.images))

    def sampler(self, player: Player, step: int) -> Callable[[], None]:
        """Return what samples a player's gradients of a step, called when they are unscaled."""

        def sample() -> None:
            with self.watching.of("histograms", inside=True):
                gradients = [parameter.grad for parameter in player.parameters]
                self._sample(step, "gradients", player, gradients)

        return sample

    def sample(self, step: int, kind: str, player: Player, tensors: Sequence[Tensor]) -> None:
        """Do `_sample` between two steps."""
        with self.watching.of("histograms"):
            self._sample(step, kind, player, tensors)

    def _sample(
        self, step: int, kind: str, player: Player, tensors: Sequence[Tensor | None]
    ) -> None:
        """Record histograms of a sample of each of a player's tensors, tagged as its norms are."""
        if self.world.is_main:
            at = f"{kind}/{self._prefix(player)}"
            tags = [f"{at}{name}" for name in player.names]
            self.recorder.histograms(step, histograms(tags, tensors))

    def _prefix(self, player: Player) -> str:
        return f"{player.name}/" if len(self.state.players) > 1 else ""


def _prefixed(tag: str, prefix: str) -> str:
    group, _, name = tag.partition("/")
    return f"{group}/{prefix}{name}"
