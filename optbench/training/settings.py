"""What the training loop is told, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from optbench.data.dataset import Source


@dataclass(frozen=True)
class Cadence:
    """Every how many steps something is done; 0 is never."""

    evaluate: int = 0
    save: int = 0
    monitor: int = 0
    histograms: int = 0


NEVER = 2**62


def due(every: int, step: int) -> int:
    """Return the next step after `step` that has what comes every so many steps."""
    return (step // every + 1) * every if every else NEVER


def is_due(every: int, step: int) -> bool:
    """Return whether what is done every so many steps, 0 for never, is to be done at this one."""
    return bool(step and every) and step % every == 0


@dataclass(frozen=True)
class Settings:
    """What the loop needs to know besides its parts.

    Attributes:
        total_steps: the run's length.
        cadence: how often what is done.
        nonfinite: `stop`, `skip` or `raise`.
        patience: evaluations without improvement before the run stops; 0 is off.
        eval_batch_size: examples in a forward pass of an evaluation.
        per_parameter: whether norms are reported by parameter.
        activations: whether dead and saturated units are counted, at some monitored steps.
        flops: whether operations are counted, and memory is told by part.
        save_final: whether the last step is saved.
        save_best: whether a step is saved that scores best so far.
    """

    total_steps: int
    cadence: Cadence = Cadence()
    nonfinite: str = "stop"
    patience: int = 0
    eval_batch_size: int = 1000
    per_parameter: bool = True
    activations: bool = False
    flops: bool = False
    save_final: bool = True
    save_best: bool = True


@dataclass(frozen=True)
class EvaluationSet:
    """Some examples of a source, scored as `name`: `val` or `test`."""

    name: str
    source: Source
    indices: Tensor


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        state: one of `shapes.STATES`.
        message: why, if there is something to say.
        metrics: the last value of each metric.
        signal: the signal that stopped it, or 0.
        texts: the last that the task had to show, such as a sample of a language model.
        efficiency: what was made of the device, if that was asked for.
        scored: which weights the scores are of, None for those that were trained.
    """

    state: str = "running"
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    signal: int = 0
    texts: dict[str, str] = field(default_factory=dict)
    scored: str | None = None
    efficiency: dict[str, Any] = field(default_factory=dict)
