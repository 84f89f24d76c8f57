"""Runs whose steps are one graph, a CPU's double of it, beside the same runs in pieces."""

from __future__ import annotations

import torch
from torch import Tensor

from optbench.assemble.experiment import Experiment
from optbench.assemble.steps import make_steps, ways_of
from optbench.training.graph.graphed_step import GraphedStep
from optbench.training.graph.why_in_pieces import held_or_why
from optbench.training.train_step import TrainStep

from .experiments import experiment
from .tape import TapeGraphs

LINES = ("steps=30", "monitor.every=0", "eval.every=0", "checkpoint=none")
STEPS = 30


class Graphed:
    """A run by tape.

    Args:
        overrides: of the run.
        pieces: every step is taken in pieces, with its numbers in tensors all the same.

    Attributes:
        reasons: why it could be noted no more.
        graphs: what notes it.
        losses: of its steps.
    """

    def __init__(self, *overrides: str, pieces: bool = False) -> None:
        self.made = experiment(*LINES, *overrides)
        self.reasons: list[str] = []
        self.graphs = TapeGraphs("not wanted" if pieces else None)
        self.losses: list[float] = []
        held = held_or_why(self.made.state, ways_of(self.made.config))
        assert not isinstance(held, str), held
        (step,) = make_steps(
            self.made.config,
            self.made.state,
            self.made.clipping,
            held=held,
            told=self.reasons.append,
            graphs=self.graphs,
        )
        assert isinstance(step, GraphedStep)
        self.step = step

    def train(self, steps: int = STEPS) -> Tensor:
        """Train up to a step; all that it has made of the run."""
        take(self.made, self.step, self.losses, steps)
        return everything(self.made)


def take(made: Experiment, step: TrainStep, losses: list[float], steps: int = STEPS) -> None:
    """Take steps as the trainer does."""
    progress, feed = made.state.progress, made.feed
    while progress.step < steps:
        work = feed.step_at(progress.epoch, progress.index)
        losses.append(float(step.loss_and_gradients(work, unseen=True)))
        assert step.update()
        step.player.advance()
        progress.advance(work.examples, feed.steps_per_epoch)
        progress.step += 1


def everything(made: Experiment) -> Tensor:
    """Weights, buffers, averages and the optimizer's state as one vector."""
    (player,) = made.state.players
    tensors = [*player.parameters, *player.module.buffers()]
    tensors += player.ema.averages if player.ema is not None else []
    for inner in getattr(player.optimizer, "members", [player.optimizer]):
        for state in inner.state.values():
            tensors += [value for value in state.values() if isinstance(value, Tensor)]
    return torch.cat([t.detach().double().reshape(-1) for t in tensors])


def as_ever(*overrides: str) -> Tensor:
    """The same of a run whose numbers are Python's."""
    made = experiment(*LINES, *overrides)
    (step,) = made.trainer().steps
    assert type(step) is TrainStep
    take(made, step, [])
    return everything(made)


def compared(*overrides: str) -> tuple[Graphed, float]:
    """A run by tape, which equals itself in pieces to the bit; and how far it is from the run as
    ever, relative to the largest number."""
    graphed = Graphed(*overrides)
    found = graphed.train()  # before another is built: they share the random generator
    pieces = Graphed(*overrides, pieces=True)
    expected = pieces.train()
    assert torch.equal(found, expected) and graphed.losses == pieces.losses
    assert pieces.step.replayed == 0 and pieces.reasons == ["not wanted"]
    ever = as_ever(*overrides)
    return graphed, float((found - ever).abs().max() / ever.abs().max())
