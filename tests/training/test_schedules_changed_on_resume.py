"""A resumed run whose schedule, length or lr was changed goes on as a new one would be there."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from few import few

from optbench.training.player import Player

from .experiments import experiment
from .runs import metrics_of, resume, train

AT, LOSSES = 7, [1.0, 0.5, 0.5, 0.5, 0.4, 0.5, 0.5, 0.5]


def player(*overrides: str, name: str = "model") -> Player:
    """One that has not begun."""
    base = ("model=dcgan", "dataset=digits", "batch_size=200")
    if name == "model":
        base = ("dataset=digits", "batch_size=500", "optimizer=sgd")
    return next(p for p in experiment(*base, *overrides).state.players if p.name == name)


def rates(of: Player, steps: int) -> list[list[float]]:
    """The learning rates and momenta of all groups at this step and those that follow."""
    found = []
    for _ in range(steps):
        groups = of.optimizer.param_groups
        found.append([float(g[key]) for g in groups for key in ("lr", "momentum") if key in g])
        of.advance()
    return found


def go(of: Player, steps: int) -> Player:
    rates(of, steps)
    return of


@cache
def whole(overrides: tuple[str, ...], name: str = "model") -> tuple[dict[str, Any], Any]:
    """The state at AT, and the rates from there to the end."""
    of = go(player(*overrides, name=name), AT)
    state = copy.deepcopy(of.state_dict())
    return state, rates(of, of.schedule_steps - AT)


TORCH = ("schedule=torch", "steps=20")
ANNEALED = (*TORCH, "schedule.scheduler=CosineAnnealingLR", "schedule.arguments={T_max: 100%}")
CYCLE = "schedule.arguments={max_lr: 0.1, total_steps: 100%}"
CYCLED = (*TORCH, "schedule.scheduler=OneCycleLR", CYCLE)
STEPPED = (*TORCH, "schedule.scheduler=StepLR", "schedule.arguments={step_size: 3, gamma: 0.5}")
PART = "{schedule: torch, scheduler: ExponentialLR, arguments: {gamma: 0.9}"
GROUP = (
    "steps=20",
    "schedule=plateau",
    "schedule.metric=train/loss",
    "optimizer.groups=[{params: 'head.*', schedule: {schedule: torch,"
    " scheduler: PolynomialLR, arguments: {total_iters: 100%}}}]",
)
OWN = "schedule._target_=tests.training.test_schedules_changed_on_resume"
COUNTED = ("schedule=custom", f"{OWN}.Counted")
CHANGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "length": (ANNEALED, ("steps=40",)),
    "shorter": (ANNEALED, ("steps=14",)),
    "lr": (ANNEALED, ("optimizer.lr=0.3",)),
    "absolute": (
        (*ANNEALED[:-1], "schedule.arguments={T_max: 100%, eta_min: 0.01}"),
        ("optimizer.lr=0.3",),
    ),
    "momentum": (
        (*CYCLED, "optimizer.momentum=0.5"),
        ("steps=30", "optimizer.momentum=0.9"),
    ),
    "argument": (STEPPED, ("schedule.arguments.step_size=2", "schedule.arguments.gamma=0.7")),
    "every": (STEPPED, ("schedule.every=2",)),
    "scheduler": (
        ANNEALED,
        ("schedule.scheduler=StepLR", "schedule.arguments={step_size: 3, gamma: 0.5}"),
    ),
    "warmup": ((*ANNEALED, "schedule.warmup_steps=20%"), ("steps=40",)),
    "longer warmup": ((*ANNEALED, "schedule.warmup_steps=2"), ("schedule.warmup_steps=5",)),
    "no warmup": ((*ANNEALED, "schedule.warmup_steps=2"), ("schedule.warmup_steps=0",)),
    "chain": (
        ("steps=20", "schedule=chain", f"schedule.parts=[{PART}, for: 25%}}, {PART}}}]"),
        (f"schedule.parts=[{PART}, for: 15%}}, {PART}, scale: 0.5}}]",),
    ),
    "another part": (
        ("steps=20", "schedule=chain", f"schedule.parts=[{PART}, for: 3}}, {PART}}}]"),
        (f"schedule.parts=[{PART}, for: 5}}, {{schedule: auto_loss}}]",),
    ),
    "group": (GROUP, ("steps=40",)),
    "group, other main": (GROUP, ("schedule=cosine",)),
    "own": (("steps=20", "schedule=custom", f"{OWN}.Memory"), ("schedule.arguments={by: 0.5}",)),
    "own that counts calls": ((*COUNTED, "steps=20"), ("steps=40",)),
    "own that counts calls, argument": ((*COUNTED, "steps=20"), ("schedule.arguments={by: 0.5}",)),
    "own that counts calls, warmup": (
        (*COUNTED, "steps=20", "schedule.warmup_steps=3"),
        ("schedule.warmup_steps=2",),
    ),
    "own, length": (("steps=20", "schedule=custom", f"{OWN}.Memory"), ("steps=40",)),
}


class Memory:
    """Falls at each step by a factor; it has to be asked for every step."""

    def __init__(self, by: float = 0.9) -> None:
        self.by, self.asked, self.now = by, 0, 1.0

    def __call__(self, step: int, total_steps: int) -> float:
        if step == self.asked + 1:
            self.asked, self.now = step, self.now * self.by ** (20 / total_steps)
        return self.now

    def state_dict(self) -> dict[str, Any]:
        return vars(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)


class Counted(Memory):
    """Falls whenever it is asked, whatever for."""

    def __call__(self, step: int, total_steps: int) -> float:
        self.now *= self.by
        return self.now


class Cuts(Memory):
    """The same that falls with each loss of 1."""

    metric = "train/loss"

    def __call__(self, step: int, total_steps: int) -> float:
        return self.now

    def observe(self, metrics: Mapping[str, float]) -> None:
        self.now *= self.by if metrics["train/loss"] == 1.0 else 1.0


@pytest.mark.parametrize("name", few(CHANGES, 8))
def test_as_a_fresh_run_with_the_new_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    before, changes = CHANGES[name]
    keys = {change.partition("=")[0] for change in changes}
    after = (*(line for line in before if line.partition("=")[0] not in keys), *changes)
    if "schedule=cosine" in changes:
        after = (*(line for line in after if not line.startswith("schedule.metric")),)
    state, _ = whole(before)
    resumed = player(*after)
    resumed.load_state_dict(state)
    assert rates(resumed, resumed.schedule_steps - AT) == whole(after)[1]
    again = player(*before)
    again.load_state_dict(state)
    assert rates(again, again.schedule_steps - AT) == whole(before)[1]


def test_one_that_counts_calls_is_asked_once_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    lines = (*COUNTED, "schedule.arguments={by: 0.5}", "optimizer.lr=1", "steps=4")
    assert [lr for lr, *_ in rates(player(*lines), 4)] == [0.5, 0.25, 0.125, 0.0625]
    state, follow = whole((*lines[:-1], "steps=9"))
    again = player(*lines[:-1], "steps=9")
    again.load_state_dict(state)
    again.load_state_dict(copy.deepcopy(again.state_dict()))
    assert rates(again, 2) == follow


def test_of_one_player_of_several() -> None:
    own = ("schedule=torch", "schedule.scheduler=CosineAnnealingLR", *ANNEALED[-1:])
    lines = tuple(f"player.generator.{line}" for line in own)
    state, _ = whole((*lines, "steps=20"), "generator")
    resumed = player(*lines, "steps=40", name="generator")
    resumed.load_state_dict(state)
    assert rates(resumed, 33) == whole((*lines, "steps=40"), "generator")[1]


def observed(of: Player, losses: list[float]) -> list[float]:
    """The learning rate after each of these."""
    found = []
    for loss in losses:
        of.hyperparameters.observe({"train/loss": loss, "grad_norm/total": loss})
        found.append(of.lr)
    return found


REDUCED = (*TORCH, "schedule.scheduler=ReduceLROnPlateau", "schedule.metric=train/loss")
REACTIVE: dict[str, tuple[tuple[str, ...], tuple[str, ...], float, list[float]]] = {
    # before, changes, what they make of lr at once, and of the losses that follow in units of that
    "torch's factor": (
        (*REDUCED, "schedule.arguments={patience: 0, factor: 0.5, threshold: 0}"),
        ("schedule.arguments={patience: 0, factor: 0.1, threshold: 0}",),
        1.0,
        [0.1, 0.1, 0.01],  # 0.45 is worse than the best of the run, 0.3 is not
    ),
    "torch's patience": (
        (*REDUCED, "schedule.arguments={patience: 0, factor: 0.5, threshold: 0}"),
        ("schedule.arguments={patience: 1, factor: 0.5, threshold: 0}",),
        1.0,
        [1.0, 1.0, 1.0],
    ),
    "torch's lr": (
        (*REDUCED, "schedule.arguments={patience: 0, factor: 0.5, threshold: 0}"),
        ("optimizer.lr=0.3",),
        3.0,
        [0.5, 0.5, 0.25],
    ),
    "plateau's factor": (
        ("steps=20", "schedule=plateau", "schedule.metric=train/loss", "schedule.patience=0"),
        ("schedule.factor=0.5", "optimizer.lr=0.2"),
        2.0,
        [0.5, 0.5, 0.25],
    ),
    "plateau's bound": (
        ("steps=20", "schedule=plateau", "schedule.metric=train/loss", "schedule.patience=0"),
        ("schedule.min_ratio=0.5",),
        5e4,
        [1.0, 1.0, 1.0],
    ),
    "plateau's metric": (
        ("steps=20", "schedule=plateau", "schedule.metric=train/loss", "schedule.patience=0"),
        ("schedule.metric=grad_norm/total", "schedule.mode=min"),
        1.0,
        [1.0, 1.0, 0.1],  # 0.45 is the first that is seen
    ),
    "own": (
        ("steps=20", "schedule=custom", f"{OWN}.Cuts", "schedule.arguments={by: 0.5}"),
        ("schedule.arguments={by: 0.25}",),
        1.0,
        [1.0, 1.0, 1.0],
    ),
}


@pytest.mark.parametrize("name", REACTIVE)
def test_one_that_reacts_keeps_its_history(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    before, changes, at_once, follow = REACTIVE[name]
    keys = {change.partition("=")[0] for change in changes}
    after = (*(line for line in before if line.partition("=")[0] not in keys), *changes)
    first = go(player(*before), AT)
    came_to = observed(first, LOSSES)[-1]
    assert came_to != first.hyperparameters.base_lrs[0]
    resumed = player(*after)
    resumed.load_state_dict(first.state_dict())
    assert resumed.lr == pytest.approx(came_to * at_once)
    start = resumed.lr
    found = observed(resumed, [0.45, 0.3, 0.35])
    assert [lr / start for lr in found] == pytest.approx(follow)


def test_the_whole_program() -> None:
    overrides = ["optimizer=sgd", "optimizer.lr=0.1", "schedule=torch", "monitor.every=1"]
    overrides += ["schedule.scheduler=CosineAnnealingLR", "schedule.arguments={T_max: 100%}"]
    assert train(Path("run"), *overrides, "steps=4") == 0
    assert resume(Path("run"), "steps=8") == 0
    assert train(Path("fresh"), *overrides, "steps=8") == 0
    found = [
        {m["step"]: m["lr/model"] for m in metrics_of(Path(f)) if "lr/model" in m}
        for f in ("run", "fresh")
    ]
    assert {step: found[0][step] for step in range(5, 9)} == {
        step: found[1][step] for step in range(5, 9)
    }
