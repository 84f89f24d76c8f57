"""The rules that there are.

A learning rate that is too high has three: `divergence.py` (the loss grows), `oscillation.py` (it
swings), `update_ratio.py` (weights move too far in a step).
"""

from __future__ import annotations

from collections.abc import Sequence

from optbench.symptoms.base import Rule
from optbench.symptoms.clipping import ClippedAlways, ClippedNever
from optbench.symptoms.constant_loss import ConstantLoss
from optbench.symptoms.dead_relu import DeadReLU
from optbench.symptoms.divergence import Divergence
from optbench.symptoms.ema import EmaCold
from optbench.symptoms.exploding import Exploding
from optbench.symptoms.facts import Facts
from optbench.symptoms.loss_scale import LossScale
from optbench.symptoms.noisy_validation import NoisyValidation
from optbench.symptoms.oscillation import Oscillation
from optbench.symptoms.plateau import Plateau
from optbench.symptoms.saturation import Saturation
from optbench.symptoms.schedules import ScheduleEnded, ScheduleRestarted
from optbench.symptoms.sign import NegativeLoss
from optbench.symptoms.spike import Spike
from optbench.symptoms.too_good import TooGood
from optbench.symptoms.too_slow import TooSlow
from optbench.symptoms.update_ratio import UpdateRatio
from optbench.symptoms.validation import Gap, Overfitting
from optbench.symptoms.vanishing import Vanishing

RULES: Sequence[type[Rule]] = (
    Divergence,
    Exploding,
    Spike,
    Vanishing,
    DeadReLU,
    Saturation,
    Oscillation,
    TooSlow,
    Plateau,
    UpdateRatio,
    ClippedAlways,
    ClippedNever,
    LossScale,
    Gap,
    Overfitting,
    NoisyValidation,
    ScheduleEnded,
    ScheduleRestarted,
    EmaCold,
    NegativeLoss,
    ConstantLoss,
    TooGood,
)
NAMES = tuple(rule.name for rule in RULES)


def made(facts: Facts, every: bool = False, more: Sequence[str] = ()) -> list[Rule]:
    """Return the rules that are on, those that are named, or every one."""
    asked = [rule for rule in RULES if every or rule.default or rule.name in more]
    return [rule(facts) for rule in asked if rule.applies(facts)]
