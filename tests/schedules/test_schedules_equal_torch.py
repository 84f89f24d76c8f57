"""Every schedule against torch's, over the whole run; one row in the table for each case."""

import math
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    CyclicLR,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    PolynomialLR,
    SequentialLR,
    StepLR,
)

from optbench.schedules.base import Schedule
from optbench.schedules.chain import Chain, Part
from optbench.schedules.constant import Constant
from optbench.schedules.cosine import Cosine, CosineRestarts
from optbench.schedules.cyclic import Cyclic
from optbench.schedules.exponential import Exponential
from optbench.schedules.inverse_sqrt import InverseSqrt
from optbench.schedules.linear import Linear
from optbench.schedules.nesterov import Nesterov
from optbench.schedules.one_cycle import OneCycle
from optbench.schedules.polynomial import Polynomial
from optbench.schedules.step import MultiStep, Step
from optbench.schedules.warmup import Warmup
from optbench.schedules.wsd import WarmupStableDecay

CONFIGS = Path(__file__).parents[2] / "configs" / "schedule"
LR = 0.1
TOLERANCE = 1e-12
LENGTHS = (97, 400)


Torchs = Callable[[torch.optim.Optimizer, int], LRScheduler]


class Row(NamedTuple):
    """A schedule and torch's, made for a run of so many steps."""

    config: str  # the YAML in configs/schedule
    ours: Schedule
    torchs: Torchs


def stable_then(decay: Torchs, decay_steps: int) -> Torchs:
    def torchs(o: torch.optim.Optimizer, total: int) -> LRScheduler:
        parts = [ConstantLR(o, 1.0, 1), decay(o, decay_steps)]
        return SequentialLR(o, parts, [total - decay_steps])

    return torchs


def after_warmup(decay: Torchs, start: float) -> Torchs:
    def torchs(o: torch.optim.Optimizer, total: int) -> LRScheduler:
        return SequentialLR(o, [LinearLR(o, start, 1.0, 20), decay(o, total - 20)], [20])

    return torchs


def vaswani(o: torch.optim.Optimizer, total: int) -> LRScheduler:
    warmup = 20  # equation 3, scaled to the peak 1
    return LambdaLR(o, lambda s: warmup**0.5 * min(max(s, 1) ** -0.5, s * warmup**-1.5))


def cosine(o: torch.optim.Optimizer, total: int) -> LRScheduler:
    return CosineAnnealingLR(o, total, 0.01 * LR)


def chained(o: torch.optim.Optimizer, total: int) -> LRScheduler:
    parts = [LinearLR(o, 0.1, 1.0, 10), ConstantLR(o, 1.0, 1), cosine(o, total - 50)]
    return SequentialLR(o, parts, [10, 50])


def cyclic(up: int, down: int | None = None, mode: str = "triangular", **more: Any) -> Torchs:
    return lambda o, n: CyclicLR(o, 0.1 * LR, LR, up, down, mode, **more)


def one_cycle(**more: Any) -> Torchs:
    return lambda o, n: OneCycleLR(o, LR, n, **more)


ROWS = {
    "constant": Row("constant", Constant(), lambda o, n: ConstantLR(o, 1.0, 1)),
    "step": Row("step", Step(30, 0.3), lambda o, n: StepLR(o, 30, 0.3)),
    "multistep": Row(
        "multistep", MultiStep([10, 50, 300]), lambda o, n: MultiStepLR(o, [10, 50, 300])
    ),
    "multistep tie": Row(
        "multistep", MultiStep([9, 9], 0.5), lambda o, n: MultiStepLR(o, [9, 9], 0.5)
    ),
    "exponential": Row("exponential", Exponential(gamma=0.99), lambda o, n: ExponentialLR(o, 0.99)),
    "exponential rate": Row(
        "exponential", Exponential(rate=0.01), lambda o, n: ExponentialLR(o, math.exp(-0.01))
    ),
    "exponential of 7 steps": Row(
        "exponential", Exponential(decay_steps=7), lambda o, n: ExponentialLR(o, 0.95 ** (1 / 7))
    ),
    "cosine": Row("cosine", Cosine(0.01), cosine),
    "cosine to 0": Row("cosine", Cosine(), lambda o, n: CosineAnnealingLR(o, n)),
    "restarts": Row(
        "cosine_restarts", CosineRestarts(13), lambda o, n: CosineAnnealingWarmRestarts(o, 13)
    ),
    "restarts, doubling": Row(
        "cosine_restarts",
        CosineRestarts(13, 2, min_ratio=0.1),
        lambda o, n: CosineAnnealingWarmRestarts(o, 13, 2, 0.1 * LR),
    ),
    "polynomial": Row("polynomial", Polynomial(), lambda o, n: PolynomialLR(o, n, 1.0)),
    "polynomial late": Row("polynomial", Polynomial(0.5), lambda o, n: PolynomialLR(o, n, 0.5)),
    "polynomial early": Row("polynomial", Polynomial(2.0), lambda o, n: PolynomialLR(o, n, 2.0)),
    "linear": Row("linear", Linear(), lambda o, n: LinearLR(o, 1.0, 0.0, n)),
    "linear rise": Row("linear", Linear(0.9, 0.01), lambda o, n: LinearLR(o, 0.01, 0.9, n)),
    "triangular": Row("cyclic", Cyclic(17), cyclic(17)),
    "triangular, slow fall": Row("cyclic", Cyclic(10, 25), cyclic(10, 25)),
    "triangular2": Row(
        "cyclic", Cyclic(10, 3, mode="triangular2"), cyclic(10, 3, mode="triangular2")
    ),
    "exp_range": Row(
        "cyclic",
        Cyclic(9, mode="exp_range", gamma=0.99, base_momentum=0.7, max_momentum=0.99),
        cyclic(9, mode="exp_range", gamma=0.99, base_momentum=0.7, max_momentum=0.99),
    ),
    "cyclic, momentum left": Row(
        "cyclic", Cyclic(9, cycle_momentum=False), cyclic(9, cycle_momentum=False)
    ),
    "one cycle": Row("one_cycle", OneCycle(), one_cycle()),
    "one cycle linear": Row(
        "one_cycle",
        OneCycle(0.25, "linear", 10, 100, base_momentum=0.8),
        one_cycle(
            pct_start=0.25,
            anneal_strategy="linear",
            div_factor=10,
            final_div_factor=100,
            base_momentum=0.8,
        ),
    ),
    "one cycle, three phases": Row(
        "one_cycle", OneCycle(0.4, three_phase=True), one_cycle(pct_start=0.4, three_phase=True)
    ),
    "one cycle, half and half": Row(
        "one_cycle",
        OneCycle(0.5, "linear", three_phase=True),
        one_cycle(pct_start=0.5, anneal_strategy="linear", three_phase=True),
    ),
    "one cycle, no rise": Row("one_cycle", OneCycle(0.0), one_cycle(pct_start=0.0)),
    "one cycle, no fall": Row("one_cycle", OneCycle(1.0), one_cycle(pct_start=1.0)),
    "one cycle, momentum left": Row(
        "one_cycle", OneCycle(cycle_momentum=False), one_cycle(cycle_momentum=False)
    ),
    "inverse sqrt": Row("inverse_sqrt", Warmup(InverseSqrt(20), 20), vaswani),
    "nesterov": Row("nesterov", Nesterov(5), lambda o, n: LambdaLR(o, lambda s: 5 / (s + 5))),
    "wsd linear": Row(
        "wsd", WarmupStableDecay(30), stable_then(lambda o, d: LinearLR(o, 1.0, 0.0, d), 30)
    ),
    "wsd cosine": Row("wsd", WarmupStableDecay(30, "cosine", 0.01), stable_then(cosine, 30)),
    "wsd sqrt": Row(
        "wsd",
        WarmupStableDecay(30, "sqrt"),
        stable_then(lambda o, d: LambdaLR(o, lambda s: 1 - math.sqrt(s / d)), 30),
    ),
    "chain": Row(
        "chain",
        Chain([Part(Linear(1.0, 0.1), 10), Part(Constant(), 40), Part(Cosine(0.01))]),
        chained,
    ),
    "chain of scaled steps": Row(
        "chain",
        Chain([Part(Constant(), 30, scale=0.5), Part(Step(7, 0.5), 30), Part(Constant())]),
        lambda o, n: SequentialLR(
            o, [ConstantLR(o, 0.5, 10**9), StepLR(o, 7, 0.5), ConstantLR(o, 1.0, 1)], [30, 60]
        ),
    ),
    "warmup, cosine": Row("cosine", Warmup(Cosine(0.01), 20, start=0.1), after_warmup(cosine, 0.1)),
    "warmup, restarts": Row(
        "cosine_restarts",
        Warmup(CosineRestarts(13), 20, start=1e-3),
        after_warmup(lambda o, n: CosineAnnealingWarmRestarts(o, 13), 1e-3),
    ),
}

REACTIVE_CONFIGS = {  # each has a file of tests of its own
    *("plateau", "auto_grad_norm", "auto_loss", "hypergradient"),
    *("torch", "custom", "replay"),
}


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR, momentum=0.5)


def adam() -> torch.optim.Optimizer:
    return torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=LR, betas=(0.5, 0.999))


def follow_torch(
    row: Row, o: torch.optim.Optimizer, total: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields each step up to the end with the parameter group that torch's schedule made."""
    scheduler = row.torchs(o, total)
    # OneCycleLR's last step is T - 1: after it, it turns back or divides by zero.
    last = total - 1 if isinstance(scheduler, OneCycleLR) else total
    for step in range(last):
        yield step, o.param_groups[0]
        o.step()
        scheduler.step()
    yield last, o.param_groups[0]


@pytest.mark.parametrize("total", LENGTHS)
@pytest.mark.parametrize("name", ROWS)
def test_learning_rate_equals_torch(name: str, total: int) -> None:
    row = ROWS[name]
    for step, group in follow_torch(row, sgd(), total):
        assert abs(row.ours(step, total) * LR - group["lr"]) <= TOLERANCE, step


@pytest.mark.parametrize("total", LENGTHS)
@pytest.mark.parametrize("optimizer", [sgd, adam])
@pytest.mark.parametrize("name", [n for n in ROWS if isinstance(ROWS[n].ours, Cyclic | OneCycle)])
def test_momentum_equals_torch(
    name: str, optimizer: Callable[[], torch.optim.Optimizer], total: int
) -> None:
    row = ROWS[name]
    for step, group in follow_torch(row, optimizer(), total):
        theirs = group["betas"][0] if "betas" in group else group["momentum"]
        ours = row.ours.momentum(step, total)
        assert abs((0.5 if ours is None else ours) - theirs) <= TOLERANCE, step


@pytest.mark.parametrize("name", ROWS)
def test_a_resumed_run_goes_on_the_same(name: str) -> None:
    schedule = ROWS[name].ours
    whole = [schedule(step, 97) for step in range(98)]
    steps = list(range(98))
    random.Random(0).shuffle(steps)
    assert [schedule(step, 97) for step in steps] == [whole[step] for step in steps]


@pytest.mark.parametrize("name", ROWS)
def test_the_base_learning_rate_is_the_peak(name: str) -> None:
    multipliers = [ROWS[name].ours(step, 97) for step in range(200)]
    assert min(multipliers) >= 0.0
    assert max(multipliers) <= 1.0


def test_every_config_has_a_row() -> None:
    rows = {row.config for row in ROWS.values()}
    assert rows | REACTIVE_CONFIGS == {path.stem for path in CONFIGS.glob("*.yaml")}
