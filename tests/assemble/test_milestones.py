"""Step decays count from the beginning of the run, and reach their milestones or are refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from few import few

from optbench.assemble.curves import curves_of
from optbench.assemble.schedule import build_schedule
from optbench.compose.composer import hydra_session
from optbench.errors import UserError
from optbench.schedules.base import Schedule

PER_EPOCH, TOTAL = 10, 100
WARM = "schedule.warmup_steps=30%"
TORCH = "schedule=torch schedule.scheduler="


def built(said: str, total: int = TOTAL) -> Schedule:
    """Of words between blanks; what has blanks itself stands between bars."""
    lines = [w for line in said.split("|") for w in ([line] if "{" in line else line.split())]
    with hydra_session() as composer:
        node = composer.spec(composer.compose(lines), lines).config.schedule
    return build_schedule(node, PER_EPOCH, total)


def drops(schedule: Schedule, total: int = TOTAL, start: int = 31) -> list[int]:
    """The steps at which the multiplier falls, after a warmup."""
    values = [(step, schedule(step, total)) for step in range(start - 1, total)]
    return [step for (_, before), (step, now) in pairwise(values) if now < before]


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("schedule=multistep", [50, 75]),
        ("schedule=multistep schedule.milestones=[40,9ep]", [40, 90]),
        ("schedule=step schedule.step_size=4ep", [40, 80]),
        ("schedule=step schedule.step_size=8", [32, 40, 48, 56, 64, 72, 80, 88, 96]),
        (f"{TORCH}MultiStepLR|schedule.arguments={{milestones: [50%, 75%]}}", [50, 75]),
        (f"{TORCH}StepLR|schedule.arguments={{step_size: 4ep}}", [40, 80]),
        (f"{TORCH}StepLR schedule.every=1ep|schedule.arguments={{step_size: 4}}", [40, 80]),
    ],
)
def test_a_warmup_moves_no_milestone(said: str, at: list[int]) -> None:
    cold, warm = built(said), built(f"{said}|{WARM}")
    assert drops(warm) == at
    assert [warm(step, TOTAL) for step in range(30, TOTAL)] == [
        cold(step, TOTAL) for step in range(30, TOTAL)
    ]
    assert warm(15, TOTAL) == 0.5


@pytest.mark.parametrize("torchs", [False, True])
def test_an_exponential_decay_counts_a_warmup(torchs: bool) -> None:
    said = "schedule=exponential schedule.gamma=0.9 schedule.decay_steps=1"
    if torchs:
        said = f"{TORCH}ExponentialLR|schedule.arguments={{gamma: 0.9}}"
    warm = built(f"{said}|{WARM}")
    assert [warm(step, TOTAL) for step in (30, 60)] == pytest.approx([0.9**30, 0.9**60])


def test_shapes_that_span_the_run_span_what_a_warmup_leaves() -> None:
    warm = built(f"schedule=cosine {WARM}")
    torchs = built(f"{TORCH}CosineAnnealingLR|schedule.arguments={{T_max: 100%}}|{WARM}")
    for step in (30, 65, 99):
        assert torchs(step, TOTAL) == pytest.approx(warm(step, TOTAL), abs=1e-12)
    assert warm(30, TOTAL) == 1.0 and warm(65, TOTAL) == 0.5


def test_in_a_part_they_count_from_the_parts_beginning() -> None:
    part = "{schedule: multistep, milestones: [50%], warmup_steps: 25%, for: 40%}"
    chain = built(f"schedule=chain|schedule.parts=[{part}, {{schedule: constant, scale: 0.01}}]")
    assert drops(chain, start=11) == [20, 40]  # half of 40, not 10 + half of 30
    later = "{schedule: multistep, milestones: [20]}"
    chain = built(f"schedule=chain|schedule.parts=[{{schedule: constant, for: 40}}, {later}]")
    assert drops(chain, start=1) == [60]
    warm = built(f"schedule=chain|schedule.parts=[{later}]|schedule.warmup_steps=10")
    assert drops(warm, start=11) == [30]  # the chain begins after its warmup


@pytest.mark.parametrize("total", [1, 2, 3, 5])
def test_parts_of_a_short_run_are_reached(total: int) -> None:
    assert built("schedule=multistep", total)(0, total) == 1.0
    assert built("schedule=step", total)(0, total) == 1.0


@pytest.mark.parametrize("warmup", ["0", "30%"])
@pytest.mark.parametrize("choice", few(["multistep", "cosine", "exponential", "wsd"], 2))
def test_show_draws_what_a_training_does(choice: str, warmup: str) -> None:
    lines = [f"schedule={choice}", f"schedule.warmup_steps={warmup}", "steps=100"]
    with hydra_session() as composer:
        config = composer.spec(composer.compose(lines), lines).config
    curves = curves_of(config)
    schedule = build_schedule(config.schedule, curves.epoch, 100)
    lr = float(config.optimizer["lr"])
    assert curves.rates["lr"] == [lr * schedule(step, 100) for step in range(100)]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (
            "schedule=multistep schedule.milestones=[50,100]",
            "schedule.milestones: 100: step 100 is never reached, for there are 100 steps",
        ),
        ("schedule=multistep schedule.milestones=[5ep,12ep]", "12ep: step 120 is never reached"),
        ("schedule=multistep schedule.milestones=[50%,100%]", "100%: step 100 is never reached"),
        (
            f"schedule=multistep schedule.milestones=[20%,75%] {WARM}",
            "schedule.milestones: 20%: step 20 is in the warmup of 30 steps",
        ),
        ("schedule=step schedule.step_size=30ep", "schedule.step_size=30ep: step 300 is never"),
        (
            f"{TORCH}StepLR|schedule.arguments={{step_size: 30ep}}",
            "schedule.arguments.step_size=30ep: step 300 is never reached",
        ),
        (
            f"{TORCH}MultiStepLR|schedule.arguments={{milestones: [50, 100]}}",
            "schedule.arguments.milestones: 100: step 100 is never",
        ),
        (
            f"{TORCH}MultiStepLR|schedule.arguments={{milestones: [20]}}|{WARM}",
            "schedule.arguments.milestones: 20: step 20 is in the warmup",
        ),
        (
            f"{TORCH}MultiStepLR schedule.every=1ep|schedule.arguments={{milestones: [5, 12]}}",
            "12: step 120 is never reached",
        ),
        (
            "schedule=chain|schedule.parts=[{schedule: multistep, milestones: [20], for: 20},"
            " {schedule: constant}]",
            "schedule.parts[0].milestones: 20: step 20 is never reached, for there are 20 steps",
        ),
        (
            "schedule=chain|schedule.parts=[{schedule: constant, for: 90},"
            " {schedule: step, step_size: 10}]",
            "schedule.parts[1].step_size=10: step 10 is never reached, for there are 10 steps",
        ),
    ],
)
def test_what_is_never_reached_is_refused(said: str, says: str) -> None:
    with pytest.raises(UserError) as raised:
        built(said)
    assert says in str(raised.value) and "\n" not in str(raised.value)
