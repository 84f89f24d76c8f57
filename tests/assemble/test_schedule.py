"""Schedules from their nodes: lengths, parts, torch's, a user's own, and what is wrong."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as torchs

from optbench.assemble.schedule import Base, build_schedule
from optbench.compose.composer import hydra_session
from optbench.errors import UserError
from optbench.schedules.base import Schedule

PER_EPOCH, TOTAL = 10, 100


def built(*overrides: str, base: Base | None = None) -> Schedule:
    """The schedule that these overrides choose, for 100 steps of 10 an epoch."""
    with hydra_session() as composer:
        node = composer.spec(composer.compose(overrides), overrides).config.schedule
    return build_schedule(node, PER_EPOCH, TOTAL, base)


def rates(schedule: Schedule) -> list[float]:
    return [schedule(step, TOTAL) for step in range(TOTAL + 1)]


PARTS = (
    "schedule.parts=[{schedule: linear, start_ratio: 0.1, min_ratio: 1, for: 1ep},"
    " {schedule: step, step_size: 50%, gamma: 0.5, for: 40%}, {schedule: cosine, scale: 0.25}]"
)


def test_a_chain_equals_torchs_sequence() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    parts = [
        torchs.LinearLR(optimizer, 0.1, 1.0, 10),
        torchs.StepLR(optimizer, 20, 0.5),
        torchs.LambdaLR(optimizer, lambda s: 0.25 * (1 + math.cos(math.pi * s / 50)) / 2),
    ]
    theirs = torchs.SequentialLR(optimizer, parts, [10, 50])
    for ours in rates(built("schedule=chain", PARTS)):
        assert abs(ours - optimizer.param_groups[0]["lr"]) <= 1e-12
        optimizer.step()
        theirs.step()


def test_a_chain_after_a_warmup_has_what_the_warmup_leaves() -> None:
    plain = built("schedule=chain", PARTS)
    warm = built("schedule=chain", PARTS, "schedule.warmup_steps=20")
    assert warm(20, TOTAL) == plain(0, TOTAL)
    assert warm(19, TOTAL) == 19 / 20
    assert warm(85, TOTAL) == plain(65, TOTAL - 20)


def test_chains_inside_chains() -> None:
    nested = "schedule.parts=[{schedule: chain, for: 50%}, {schedule: constant}]"
    multipliers = rates(built("schedule=chain", nested))
    assert multipliers[:6] == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert multipliers[50] == 1.0 and multipliers[49] < 0.1


def test_lengths_in_the_arguments_of_a_torch_scheduler() -> None:
    cosine = built(
        "schedule=torch", "schedule.scheduler=CosineAnnealingLR", "schedule.arguments={T_max: 100%}"
    )
    assert rates(cosine) == pytest.approx(rates(built("schedule=cosine")), abs=1e-12)
    steps = "schedule.arguments={milestones: [3ep, 50%, 70], gamma: 0.5}"
    several = rates(built("schedule=torch", "schedule.scheduler=MultiStepLR", steps))
    assert [several[s] for s in (29, 30, 49, 50, 69, 70)] == [1.0, 0.5, 0.5, 0.25, 0.25, 0.125]


def test_a_torch_scheduler_starts_from_the_real_rate() -> None:
    absolute = "schedule.arguments={T_max: 100%, eta_min: 0.05}"
    chosen = ("schedule=torch", "schedule.scheduler=CosineAnnealingLR", absolute)
    assert built(*chosen, base=Base(0.1))(TOTAL, TOTAL) == pytest.approx(0.5)


def test_a_torch_scheduler_by_its_path() -> None:
    path = "schedule.scheduler=torch.optim.swa_utils.SWALR"
    swa = built("schedule=torch", path, "schedule.arguments={swa_lr: 0.5, anneal_epochs: 1ep}")
    assert swa(0, TOTAL) == 1.0 and swa(10, TOTAL) == pytest.approx(0.5)


def half_life(step: int, total_steps: int, parts: int = 1) -> float:
    return 0.5 ** (parts * step / total_steps)


def too_short(step: int, total_steps: int) -> float:
    return ([1.0] * total_steps)[step]


class Sawtooth:
    """A schedule of a user's own."""

    def __init__(self, period: int) -> None:
        self.period = period

    def __call__(self, step: int, total_steps: int) -> float:
        return 1.0 - step % self.period / self.period


HERE = "tests.assemble.test_schedule"


def test_a_users_own_function_and_class(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    function = ("schedule=custom", f"schedule._target_={HERE}.half_life")
    assert built(*function)(50, TOTAL) == 0.5**0.5
    assert built(*function, "schedule.arguments={parts: 2}")(50, TOTAL) == 0.5
    saw = built(
        "schedule=custom", f"schedule._target_={HERE}.Sawtooth", "schedule.arguments={period: 4}"
    )
    assert rates(saw)[:5] == [1.0, 0.75, 0.5, 0.25, 1.0]
    with pytest.raises(UserError, match="schedule: at step 100: IndexError: list index out of"):
        built("schedule=custom", f"schedule._target_={HERE}.too_short")


def test_a_torch_scheduler_that_lasts_as_long_as_the_run_begins_at_its_beginning() -> None:
    chosen = (*TORCH, "schedule.scheduler=OneCycleLR", f"schedule.arguments={CYCLE.format('100%')}")
    multipliers = rates(built(*chosen, base=Base(0.1)))
    assert multipliers[0] == pytest.approx(1 / 25) and max(multipliers) > 0.99
    chain = ("schedule=chain", f"schedule.parts=[{PART.format(9)}, {{schedule: cosine}}]")
    assert rates(built(*chain, base=Base(0.1)))[0] == pytest.approx(1 / 25)


CHAIN, TORCH, CUSTOM = ("schedule=chain",), ("schedule=torch",), ("schedule=custom",)
CYCLE = "{{max_lr: 0.1, total_steps: {}}}"
PART = f"{{{{schedule: torch, scheduler: OneCycleLR, arguments: {CYCLE}, for: 10}}}}"
WRONG: list[tuple[tuple[str, ...], str]] = [
    (
        ("schedule=multistep", "schedule.milestones=[50,20]"),
        "milestones must be in increasing order",
    ),
    (("schedule=cosine", "schedule.warmup_steps=200"), "warmup_steps=200: 200 steps, longer than"),
    (("schedule=cosine_restarts", "schedule.t_0=0"), "t_0 must be an integer >= 1, got 0"),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosin}]"),
        "parts[0]=cosin: no such schedule; did you mean cosine?",
    ),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosine, min_ratoi: 1}]"),
        "parts[0].min_ratoi=1: no such key; did you mean min_ratio?",
    ),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosine, min_ratio: 2}]"),
        "parts[0].min_ratio=2: not valid",
    ),
    ((*CHAIN, "schedule.parts=[cosine, constant]"), "schedule.parts[0]: for how long?"),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosine, for: 5}]"),
        "parts[0].for=5: the last part takes what is left",
    ),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosine, for: soon}, constant]"),
        "parts[0].for=soon: not valid",
    ),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosine, for: 0}, constant]"),
        "parts[0].for=0: not valid",
    ),
    (
        (
            *CHAIN,
            "schedule.parts=[{schedule: cosine, for: 70%}, {schedule: linear, for: 30%}, constant]",
        ),
        "the first 2 parts take 100 steps, where the whole has 100",
    ),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosine, for: 100}, constant]"),
        "parts[0].for=100: 100 steps, where the whole has 100: none are left",
    ),
    ((*CHAIN, "schedule.parts=[{for: 50%}, constant]"), "which schedule?"),
    ((*CHAIN, "schedule.parts=[]"), "name at least one schedule"),
    (
        (*CHAIN, "schedule.parts=[{schedule: cosine_restarts, t_0: 0, for: 50%}, constant]"),
        "schedule.parts[0]: t_0 must be an integer >= 1, got 0",
    ),
    ((*CHAIN, "schedule.parts=[{schedule: cosine, scale: -1}]"), "parts[0].scale=-1: not valid"),
    (TORCH, "schedule.scheduler=null: which one?"),
    ((*TORCH, "schedule.scheduler=StepLr"), "torch has no such scheduler; did you mean StepLR?"),
    (
        (*TORCH, "schedule.scheduler=StepLR"),
        "'schedule.arguments={step_size: ...}'",
    ),
    (
        (*TORCH, "schedule.scheduler=StepLR", "schedule.arguments=5"),
        "schedule.arguments=5: expected a mapping",
    ),
    (
        (*TORCH, "schedule.scheduler=ReduceLROnPlateau"),
        "ReduceLROnPlateau steps on a metric: metric has to name one",
    ),
    ((*TORCH, "schedule.scheduler=StepLRR"), "torch has no such scheduler; did you mean StepLR?"),
    (
        (*TORCH, "schedule.scheduler=OneCycleLR", f"schedule.arguments={CYCLE.format(99)}"),
        "total_steps=99: OneCycleLR has to step 100 times",
    ),
    (
        ("schedule=chain", f"schedule.parts=[{PART.format(8)}, {{schedule: cosine}}]"),
        "schedule.parts[0]: total_steps=8: OneCycleLR has to step 9 times",
    ),
    ((*TORCH, "schedule.scheduler=nowhere.Mine"), "schedule.scheduler=nowhere.Mine"),
    (CUSTOM, "schedule._target_=null: which class?"),
    ((*CUSTOM, "schedule._target_=nowhere.mine"), "schedule._target_=nowhere.mine"),
    ((*CUSTOM, "schedule._target_=math.log"), "schedule: "),
    (
        (*CUSTOM, "schedule._target_=builtins.dict"),
        "schedule._target_=builtins.dict: can't be called with (step, total_steps)",
    ),
    ((*CUSTOM, "schedule._target_=operator.sub"), "gives -100 at step 0; expected a finite"),
]


@pytest.mark.parametrize(("overrides", "says"), WRONG, ids=lambda value: str(value)[:60])
def test_one_line_says_what_is_wrong(overrides: tuple[str, ...], says: Any) -> None:
    with pytest.raises(UserError) as raised:
        built(*overrides)
    assert says in str(raised.value) and "\n" not in str(raised.value)
