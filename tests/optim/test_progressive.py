"""Optimizers one after another: what is handed over, what is estimated, when a stage ends."""

from __future__ import annotations

import math
import random
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.assemble.decay import set_decay
from optbench.optim.first_order.heavy_ball import HeavyBall
from optbench.optim.first_order.lion import Lion
from optbench.optim.first_order.momentum import Momentum
from optbench.optim.measured import measured
from optbench.optim.progressive import swats
from optbench.optim.progressive.ends import Bound, Plateau, Until
from optbench.optim.progressive.handover import divided, unbiased
from optbench.optim.progressive.progressive import NoRateError, Progressive, Stage
from optbench.schedules.constant import Constant
from optbench.schedules.cosine import Cosine
from optbench.schedules.plateau import Plateau as PlateauSchedule
from optbench.schedules.staged import Staged
from optbench.training.hyperparameters import HyperparameterScheduler

from .problem import network, walk

ADAM = torch.optim.Adam
SGD = torch.optim.SGD


def weights(module: nn.Module) -> Tensor:
    return nn.utils.parameters_to_vector(module.parameters()).detach().clone()


def gradient(seed: int, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)


def two(
    one: Any, other: Any, steps: int = 5, keep: tuple[str, ...] = ("momentum",)
) -> tuple[nn.Parameter, Progressive]:
    """A vector, and two optimizers of it, the first for so many steps."""
    weight = nn.Parameter(gradient(99, torch.empty(7, dtype=torch.float64)))
    stages = [Stage(one([weight]), Until(steps)), Stage(other([weight]), keep=keep)]
    return weight, Progressive(stages)


def push(weight: nn.Parameter, optimizer: torch.optim.Optimizer, steps: int, seed: int = 0) -> None:
    for step in range(steps):
        weight.grad = gradient(seed + step, weight)
        optimizer.step()


@pytest.mark.parametrize(
    "one",
    [
        lambda p: SGD(p, lr=0.1, momentum=0.9),
        lambda p: Momentum(p, lr=0.1, momentum=0.9),
        lambda p: HeavyBall(p, lr=0.1, momentum=0.9),
    ],
    ids=["sgd", "momentum", "heavy ball"],
)
@pytest.mark.parametrize(
    "other",
    [
        lambda p: SGD(p, lr=0.1, momentum=0.9),
        lambda p: Momentum(p, lr=0.1, momentum=0.9),
        lambda p: HeavyBall(p, lr=0.1, momentum=0.9),
    ],
    ids=["to sgd", "to momentum", "to heavy ball"],
)
def test_those_that_are_the_same_go_on_as_if_nothing_was(one: Any, other: Any) -> None:
    weight, optimizer = two(one, other)
    push(weight, optimizer, 12)
    whole = nn.Parameter(gradient(99, weight))
    push(whole, SGD([whole], lr=0.1, momentum=0.9), 12)
    torch.testing.assert_close(weight, whole, rtol=1e-12, atol=1e-13)
    assert optimizer.stage == 1 and optimizer.steps == 12 and optimizer.begun == [0, 5]


@pytest.mark.parametrize("kind", [Momentum, HeavyBall])
def test_momentum_is_what_the_rates_that_made_it_tell(kind: Any) -> None:
    """A cosine is at 0 when the next stage begins, and was near it at the last step."""
    constant = torch.full((7,), 0.5, dtype=torch.float64)
    weight, optimizer = two(
        lambda p: kind(p, lr=0.1, momentum=0.8), lambda p: SGD(p, lr=0.1, momentum=0.8), steps=60
    )
    flat = Constant()
    schedules = [Staged(Cosine(), partial(optimizer.clock, 0), 60), flat]
    rates = HyperparameterScheduler("model", optimizer, flat, 80, schedules)
    for step in range(1, 61):
        weight.grad = constant.clone()
        optimizer.step()
        rates.advance(step)
    assert optimizer.stage == 1 and optimizer.members[0].param_groups[0]["lr"] == 0.0
    resumed = two(
        lambda p: kind(p, lr=0.1, momentum=0.8), lambda p: SGD(p, lr=0.1, momentum=0.8), steps=60
    )[1]
    resumed.load_state_dict(optimizer.state_dict())
    assert resumed.lrs == optimizer.lrs and optimizer.lrs[0] > 0
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    found = optimizer.members[1].state[weight]["momentum_buffer"]
    torch.testing.assert_close(found, constant / (1 - 0.8) * 0.8, rtol=1e-3, atol=0.0)


def test_lions_average_that_was_handed_over_is_a_mean_already() -> None:
    weight = nn.Parameter(torch.ones(3, dtype=torch.float64))
    stages = [
        Stage(ADAM([weight], lr=1e-3), Until(5)),
        Stage(Lion([weight], lr=1e-3), Until(7), keep=("momentum",)),
        Stage(SGD([weight], lr=0.1, momentum=0.5), keep=("momentum",)),
    ]
    optimizer = Progressive(stages)
    for _ in range(7):
        weight.grad = torch.full_like(weight, 0.5)
        optimizer.step()
    weight.grad = torch.zeros_like(weight)
    optimizer.step()
    found = optimizer.members[2].state[weight]["momentum_buffer"]
    torch.testing.assert_close(found, torch.full_like(weight, 0.5 / (1 - 0.5) * 0.5))


@pytest.mark.parametrize("amsgrad", [False, True])
def test_squares_and_momentum_are_all_of_adam(amsgrad: bool) -> None:
    def adamw(p: Any) -> torch.optim.Optimizer:
        return torch.optim.AdamW(p, lr=1e-2, weight_decay=0.0, amsgrad=amsgrad)

    keep = ("momentum", "squares")
    weight, optimizer = two(lambda p: ADAM(p, lr=1e-2, amsgrad=amsgrad), adamw, keep=keep)
    push(weight, optimizer, 12)
    whole = nn.Parameter(gradient(99, weight))
    push(whole, ADAM([whole], lr=1e-2, amsgrad=amsgrad), 12)
    assert torch.equal(weight, whole)


def test_adams_mean_gradient_is_sgds_velocity_and_lions_average() -> None:
    constant = torch.full((7,), 0.5, dtype=torch.float64)
    for other in (
        lambda p: SGD(p, lr=0.1, momentum=0.8, dampening=0.5),
        lambda p: Lion(p, lr=1e-3, betas=(0.9, 0.99)),
    ):
        weight, optimizer = two(lambda p: ADAM(p, lr=1e-3), other)
        for _ in range(5):
            weight.grad = constant.clone()
            optimizer.step()
        weight.grad = torch.zeros_like(weight)
        before = weight.detach().clone()
        optimizer.step()
        state = optimizer.members[1].state[weight]
        if isinstance(optimizer.members[1], SGD):  # 0.5 (1 - 0.5) / (1 - 0.8), times 0.8
            torch.testing.assert_close(state["momentum_buffer"], constant * 2.5 * 0.8)
            torch.testing.assert_close(before - weight, constant * 2.5 * 0.8 * 0.1)
        else:
            torch.testing.assert_close(state["exp_avg"], constant * 0.99)


def test_without_keep_the_next_begins_anew_and_the_last_is_forgotten() -> None:
    weight, optimizer = two(
        lambda p: ADAM(p, lr=1e-3), lambda p: SGD(p, lr=0.1, momentum=0.9), keep=()
    )
    push(weight, optimizer, 6)
    assert not optimizer.members[0].state
    state = optimizer.members[1].state[weight]
    assert torch.equal(state["momentum_buffer"], gradient(5, weight))


@pytest.mark.parametrize("multiplier", [1.0, 0.5])
def test_the_rate_is_that_of_the_projection_and_of_the_length(multiplier: float) -> None:
    """In units of the base learning rate, whatever the schedule made of it at the time."""
    weight = nn.Parameter(gradient(99, torch.empty(7, dtype=torch.float64)))
    adam = ADAM([weight], lr=1e-2, betas=(0.9, 0.98))
    sgd = SGD([weight], lr=1.0, momentum=0.75, dampening=0.5)
    optimizer = Progressive([Stage(adam, Until(6)), Stage(sgd, estimated="swats")])
    adam.param_groups[0]["lr"] = 1e-2 * multiplier
    mean, lengths = 0.0, 0.0
    for step in range(6):
        before = weight.detach().clone()
        push(weight, optimizer, 1, seed=step)
        p = weight.detach() - before
        m = adam.state[weight]["exp_avg"] / (1 - 0.9 ** (step + 1))
        mean = 0.98 * mean + 0.02 * float(p @ p / -(p @ m)) / multiplier
        lengths = 0.99 * lengths + 0.01 * float(p.norm() / m.norm()) / multiplier
    rate = mean / (1 - 0.98**6)
    assert optimizer.measured["swats_lr"] == pytest.approx(rate, rel=1e-12)
    assert optimizer.measured["matched_lr"] == pytest.approx(lengths / (1 - 0.99**6), rel=1e-12)
    assert optimizer.clock(1).factor == pytest.approx(rate * (1 - 0.75) / (1 - 0.5), rel=1e-12)


@pytest.mark.parametrize("decay", ["torch's", "policy"])
def test_decoupled_decay_is_no_part_of_the_rate(decay: str) -> None:
    """It is uphill here, and longer than what the gradient does."""
    weight = nn.Parameter(torch.full((3,), -100.0, dtype=torch.float64))
    one: torch.optim.Optimizer = torch.optim.AdamW([weight], lr=1e-3, weight_decay=0.5)
    if decay == "policy":
        one = ADAM([weight], lr=1e-3, weight_decay=0.5)
        set_decay(one, "decoupled")
    optimizer = Progressive([Stage(one, Until(4)), Stage(SGD([weight], lr=1.0), estimated="swats")])
    for _ in range(4):
        weight.grad = torch.full_like(weight, 0.5)
        optimizer.step()
    assert optimizer.factors[1] == pytest.approx(1e-3 / 0.5, rel=1e-6)
    assert optimizer.measured["matched_lr"] == pytest.approx(1e-3 / 0.5, rel=1e-6)


@pytest.mark.parametrize("until", [Until(6), Until(6, None, 1e-3)])
def test_a_stage_ends_by_its_step_without_a_usable_projection(until: Until) -> None:
    """Lion's step follows the last gradient, which turns against the mean each time."""
    weight = nn.Parameter(torch.ones(3, dtype=torch.float64))
    lion = Lion([weight], lr=1e-3, betas=(0.0, 0.9))
    optimizer = Progressive([Stage(lion, until), Stage(SGD([weight], lr=1.0), estimated="swats")])
    for size in (1.0, -0.01, -0.01, -0.01, -0.01, -0.01):
        weight.grad = torch.full_like(weight, size)
        optimizer.step()
        if size == 1.0:  # the first, which has no mean to turn against
            optimizer.estimate = swats.nothing()
    assert optimizer.measured["swats_lr"] == 0.0
    assert optimizer.begun == [0, 6]
    assert optimizer.factors[1] == optimizer.measured["matched_lr"] > 0


def test_a_stage_that_told_no_rate_at_all_is_an_error() -> None:
    weight = nn.Parameter(torch.ones(3))
    stages = [Stage(ADAM([weight], lr=0.0), Until(2)), Stage(SGD([weight]), estimated="matched")]
    optimizer = Progressive(stages)
    push(weight, optimizer, 1)
    with pytest.raises(NoRateError, match="no step until 2 told a learning rate for stage 1"):
        push(weight, optimizer, 1)


def test_a_stage_may_end_where_the_estimate_has_settled() -> None:
    weight = nn.Parameter(torch.ones(3, dtype=torch.float64))
    until = Until(settled=1e-3)
    stages = [
        Stage(ADAM([weight], lr=1e-3), until),
        Stage(SGD([weight], lr=1.0), estimated="swats"),
    ]
    optimizer = Progressive(stages)
    for _ in range(3):
        weight.grad = torch.full_like(weight, 0.5)
        optimizer.step()
    assert optimizer.stage == 1 and optimizer.begun == [0, 2]  # of one alone nothing is settled
    assert optimizer.factors[1] == pytest.approx(1e-3 / 0.5, rel=1e-6)


def test_what_a_stage_does_not_train_rests() -> None:
    module = network()
    head = [p for n, p in module.named_parameters() if n.startswith("head")]
    rest = [p for n, p in module.named_parameters() if not n.startswith("head")]
    first = Stage(SGD(head, lr=0.1), Until(3))
    optimizer = Progressive([first, Stage(SGD(module.parameters(), lr=0.1))])
    before = [p.detach().clone() for p in rest]
    assert {id(p) for p in optimizer.resting} == {id(p) for p in rest}
    walk(module, optimizer, 3)
    assert all(torch.equal(p, old) for p, old in zip(rest, before, strict=True))
    assert not optimizer.resting
    walk(module, optimizer, 1)
    assert all(not torch.equal(p, old) for p, old in zip(rest, before, strict=True))


def test_what_no_stage_trains_always_rests() -> None:
    module = network()
    head = [p for n, p in module.named_parameters() if n.startswith("head")]
    stages = [Stage(SGD(head, lr=0.1), Until(1)), Stage(SGD(head, lr=0.1))]
    optimizer = Progressive(stages, module.parameters())
    for _ in range(2):
        assert len(optimizer.resting) == len(list(module.parameters())) - len(head)
        walk(module, optimizer, 1)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.zero_grad()
    assert all(p.grad is None for p in module.parameters())


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("seed", range(5))
def test_a_plateau_is_what_it_is_for_the_schedule(
    mode: Any, threshold_mode: Any, seed: int
) -> None:
    draw = random.Random(seed)
    schedule = PlateauSchedule("val/loss", mode, 0.5, 2, 0.05, threshold_mode)
    ours, watched = Plateau("val/loss", mode, 2, 0.05, threshold_mode), {}
    value = draw.gauss(0, 1)
    for _ in range(60):
        value = math.nan if draw.random() < 0.1 else draw.gauss(0, 1)
        schedule.observe({"val/loss": value})
        assert ours.met(value, watched) == (schedule(0, 1) < 1.0)
        if schedule(0, 1) < 1.0:
            break
    assert schedule(0, 1) < 1.0


def test_records_end_a_stage() -> None:
    until = Until(8, Bound("grad_norm/total", 0.5))
    weight = nn.Parameter(torch.ones(2))
    optimizer = Progressive([Stage(SGD([weight], lr=0.1), until), Stage(ADAM([weight]))])
    optimizer.observe({"grad_norm/total": 0.1})  # before any step
    push(weight, optimizer, 2)
    optimizer.observe({"grad_norm/total": 0.6, "train/loss": 0.1})
    assert optimizer.stage == 0
    optimizer.observe({"grad_norm/total": 0.4})
    assert optimizer.stage == 1 and optimizer.begun == [0, 2]
    late = Progressive([Stage(SGD([weight], lr=0.1), until), Stage(ADAM([weight]))])
    push(weight, late, 8)
    assert late.begun == [0, 8]


def test_a_record_of_a_stages_last_step_tells_nothing_of_the_next() -> None:
    weight = nn.Parameter(torch.ones(2))
    until = Until(None, Bound("val/loss", 0.5))
    last = Stage(ADAM([weight]))
    optimizer = Progressive(
        [Stage(SGD([weight], lr=0.1), Until(2)), Stage(SGD([weight], lr=0.1), until), last]
    )
    push(weight, optimizer, 2)
    optimizer.observe({"val/loss": 0.1})
    assert optimizer.stage == 1
    push(weight, optimizer, 1)
    optimizer.observe({"val/loss": 0.1})
    assert optimizer.stage == 2 and optimizer.begun == [0, 2, 3]


def test_the_present_stage_alone_is_seen() -> None:
    weight = nn.Parameter(torch.ones(2))
    one, other = SGD([weight], lr=0.1), ADAM([weight], lr=0.2)
    one.measured = {"damping": 3.0}  # type: ignore[attr-defined]
    optimizer = Progressive([Stage(one, Until(1)), Stage(other)])
    assert [g["lr"] for g in optimizer.param_groups] == [0.1]
    push(weight, optimizer, 1)
    assert measured(optimizer) == {"damping": 3.0, "stage": 0.0}
    assert [g["lr"] for g in optimizer.param_groups] == [0.2]
    assert [g["lr"] for g in optimizer.every_group] == [0.1, 0.2]
    push(weight, optimizer, 1)
    assert measured(optimizer) == {"stage": 1.0}
    with pytest.raises(ValueError, match="which of"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))]})


def stages_refused() -> dict[str, Any]:
    weight = nn.Parameter(torch.ones(2))

    def sgd(momentum: float = 0.0) -> torch.optim.Optimizer:
        return SGD([weight], lr=0.1, momentum=momentum)

    adam, adagrad = ADAM([weight]), torch.optim.Adagrad([weight])
    return {
        "at least one": [],
        "all but the last end": [Stage(sgd()), Stage(sgd())],
        "not after 5": [Stage(sgd(), Until(5)), Stage(sgd(), Until(5)), Stage(sgd())],
        "nothing before the first": [Stage(adam, keep=("momentum",))],
        "no steps before the first": [Stage(sgd(), estimated="swats")],
        "SGD is none of them": [Stage(sgd(), Until(5)), Stage(sgd(), estimated="matched")],
        "no momentum to go on": [Stage(adam, Until(5)), Stage(sgd(), keep=("momentum",))],
        "no momentum that another": [Stage(adagrad, Until(5)), Stage(sgd(0.9), keep=("momentum",))],
        "momentum alone is nothing": [Stage(sgd(0.9), Until(5)), Stage(adam, keep=("momentum",))],
        "no squares": [Stage(sgd(0.9), Until(5)), Stage(adam, keep=("momentum", "squares"))],
        "keep both": [Stage(adam, Until(5)), Stage(adam, keep=("squares",))],
    }


@pytest.mark.parametrize("said", stages_refused())
def test_stages_that_can_not_be(said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Progressive(stages_refused()[said])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Until(),
        lambda: Until(settled=0.0),
        lambda: Plateau("a", "most"),
        lambda: Plateau("a", patience=-1),
        lambda: Plateau("a", threshold=math.nan),
        lambda: Plateau("a", threshold_mode="near"),
        lambda: Bound("a", math.inf),
    ],
)
def test_ends_that_can_not_be(make: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|has to end"):
        make()


@pytest.mark.parametrize("step", [1, 3, 400])
def test_a_running_mean_is_the_same_by_a_count_that_is_a_tensor(step: int) -> None:
    """Which it is on a GPU, where nobody waits for it."""
    average = torch.linspace(-1, 1, 5)
    number = unbiased(average, 0.9, torch.tensor(float(step)))
    assert number is not None
    assert torch.allclose(number, divided(average, 0.9, torch.tensor(float(step))), rtol=1e-6)
