"""Members are scored at once as each is alone; whatever can't be is left to them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from optbench.assemble.experiment import Experiment
from optbench.tasks.base import Modules, Shown
from optbench.tasks.classification import Classification, LabelledBatch
from optbench.training import scoring
from optbench.training.callback import Callback
from optbench.training.signals import Interruption
from optbench.training.together import scores
from optbench.training.trainer import Trainer

from .together import Ended, alone, at_once, same

TEST = 360
"""Examples of the test set, which each scores by itself."""

LINES = ["steps=12", "monitor.every=4", "eval.every=3", "optimizer=sgd", "optimizer.lr=0.05"]
LINES += ["model.activation=tanh"]  # at a ReLU's kink rounding may become more
COMPARED = 2
"""Validation sets that members score themselves: the first one's and the last one's."""


@pytest.fixture
def by_themselves(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many examples were in each validation set that a run scored by itself."""
    sizes: list[int] = []
    ordinary = scoring.evaluate

    def counted(**given: Any) -> dict[str, float]:
        if len(given["indices"]) != TEST:
            sizes.append(len(given["indices"]))
        return ordinary(**given)

    monkeypatch.setattr(scoring, "evaluate", counted)
    return sizes


def scored(ended: Ended) -> dict[tuple[int, str], float]:
    """All scores by step and tag."""
    return {
        (record.step, tag): value
        for record in ended.memory.records
        if record.kind in ("val", "test")
        for tag, value in record.values.items()
    }


def decided(ended: Ended) -> list[dict[str, Any]]:
    """What followed from the scores."""
    state = ended.made.state
    kept = [state.best.state_dict(), state.stopping.state_dict()]
    return [{k: v for k, v in each.items() if isinstance(v, int | float)} for each in kept]


def alike(found: list[Ended], members: list[list[str]]) -> None:
    """Expect the scores that runs with these overrides have alone."""
    for own, together in zip(members, found, strict=True):
        by_itself = alone(*own)
        assert scored(together) == pytest.approx(scored(by_itself), rel=1e-5, abs=1e-7)
        assert len(scored(together)) > 3
        for ours, theirs in zip(decided(together), decided(by_itself), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["model.batch_norm=true"],
        ["eval.batch_size=7"],
        ["dataset.val_fraction=0.01", "eval.examples=5", "eval.every=1"],
        ["model.dropout=0.2"],
    ],
)
def test_each_has_the_scores_that_it_has_alone(lines: list[str], by_themselves: list[int]) -> None:
    """Each has another validation set, for the seed splits it off, and all the same test set."""
    members = [[*LINES, f"seed={n}", *lines] for n in range(5)]
    found = at_once(members, draws="model.dropout=0.2" in lines)
    assert len(by_themselves) == COMPARED
    sets = [ended.made.validation for ended in found]
    assert all(a and b and not torch.equal(a.indices, b.indices) for a, b in pairwise(sets))
    alike(found, members)


OWN = [
    ["ema=0.5"],
    [],
    ["optimizer.lr=0", "early_stopping.patience=1"],
    ["ema=0.9", "clip.norm=0.1"],
    ["eval.batch_size=11"],
    ["eval.examples=40"],
    ["schedule=cosine", "eval.every=4"],
]


def test_they_may_average_stop_and_score_otherwise(by_themselves: list[int]) -> None:
    members = [[*LINES, f"seed={n}", *own] for n, own in enumerate(OWN)]
    found = at_once(members)
    assert found[2].outcome.state == "stopped_early"
    assert len(by_themselves) == COMPARED + 4 + 4 + 3
    alike(found, members)


def test_one_that_diverges_does_not_change_the_others(by_themselves: list[int]) -> None:
    members = [[*LINES, f"seed={n}"] for n in range(4)]
    lost = [*LINES, "seed=9", "optimizer.lr=1e38"]
    found = at_once([*members[:2], lost, *members[2:]])
    assert found[2].outcome.state == "diverged" and len(by_themselves) == COMPARED
    del found[2]
    alike(found, members)


def test_many_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    members = [[*LINES, f"seed={n}"] for n in range(7)]
    sizes: list[int] = []
    ordinary = scores.batch_rows

    def counted(batch: Any, count: int) -> Any:
        sizes.append(count)
        return ordinary(batch, count)

    whole = at_once(members)
    monkeypatch.setattr(scores, "ROOM", 8)
    monkeypatch.setattr(scores, "batch_rows", counted)
    parts = at_once(members)
    assert set(sizes) == {2, 3}
    for one, other in zip(parts, whole, strict=True):
        assert scored(one) == pytest.approx(scored(other), rel=1e-5)


class Looking(Classification):
    """Looks at a number of the batch."""

    def score(self, modules: Modules, batch: LabelledBatch) -> dict[str, Tensor]:
        sums = super().score(modules, batch)
        return sums if float(sums["loss"]) >= 0 else {}


class Numbered(Classification):
    """Its score is of no model, and another one of each run."""

    number = 0.0

    def score(self, modules: Modules, batch: LabelledBatch) -> dict[str, Tensor]:
        return super().score(modules, batch) | {"mine": torch.tensor(self.number)}


class Showing(Classification):
    """Shows something of the model."""

    def show(self, modules: Modules, batch: LabelledBatch) -> Shown:
        (weight, *_) = modules["model"].parameters()  # type: ignore[attr-defined]
        return Shown(texts={"norm": f"{len(batch[1])} {float(weight.norm()):.4f}"})


def of_kind(kind: type[Classification], made: Experiment) -> None:
    """Have a run's task be of another class."""
    made.state.task.__class__ = kind


@pytest.mark.parametrize(
    ("kind", "why"), [(Looking, "vmap can't do it"), (Numbered, "they differ from a run's own")]
)
def test_what_can_not_be_is_left_to_the_runs_and_told(
    kind: type[Classification], why: str, by_themselves: list[int]
) -> None:
    told: list[str] = []

    def changed(made: Experiment) -> None:
        of_kind(kind, made)
        made.state.task.number = float(made.config.seed)  # type: ignore[attr-defined]

    members = [[*LINES, f"seed={n}"] for n in range(3)]
    found = at_once(members, changed=changed, told=told)
    assert len(told) == 1 and told[0].startswith(f"validation sets are scored one by one: {why}")
    assert len(by_themselves) == 3 * 4 + (COMPARED if kind is Numbered else 0)
    assert found[1].outcome.state == "finished" and len(scored(found[1])) >= 10


def test_what_is_shown_is_the_runs_own(by_themselves: list[int]) -> None:
    members = [[*LINES, f"seed={n}", "ema=0.5"] for n in range(3)]
    found = at_once(members, changed=lambda made: of_kind(Showing, made))
    assert len(by_themselves) == COMPARED
    texts = [ended.outcome.texts["norm"] for ended in found]
    assert len(set(texts)) == 3
    for ended, text in zip(found, texts, strict=True):
        ema = ended.made.state.players[0].ema
        assert ema and text == f"64 {float(ema.averages[0].norm()):.4f}"


class Zeroing(Callback):
    """Sets the weights to 0 at an evaluation."""

    def on_evaluation(self, trainer: Trainer, step: int, metrics: Any) -> None:
        for parameter in trainer.players[0].parameters:
            parameter.data.zero_()


class ZeroingBefore(Callback):
    """Sets the weights to 0 before an evaluation."""

    every = 3

    def on_due(self, trainer: Trainer, step: int) -> None:
        for parameter in trainer.players[0].parameters:
            parameter.data.zero_()


@pytest.mark.parametrize("callback", [Zeroing, ZeroingBefore])
def test_what_a_callback_does_is_scored(callback: type[Callback]) -> None:
    members = [[*LINES, f"seed={n}"] for n in range(3)]
    for ended in at_once(members, callbacks=[callback()]):
        values = scored(ended)
        zero = values[6, "val/loss"] == pytest.approx(torch.tensor(10.0).log().item())
        assert zero == (callback is ZeroingBefore)


def test_a_signal_within_an_evaluation_abandons_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As alone: what has one batch is still scored, what has more is not."""
    interruption = Interruption()
    ordinary = scores.batch_rows

    def signalled(batch: Any, members: int) -> Any:
        interruption.number = 15
        return ordinary(batch, members)

    monkeypatch.setattr(scores, "batch_rows", signalled)
    members = [[*LINES, f"seed={n}", "eval.batch_size=50"] for n in range(3)]
    for ended in at_once(members, interruption=interruption):
        assert ended.outcome.state == "preempted" and ended.outcome.signal == 15
        assert ended.made.state.progress.step == 3 and scored(ended) == {}


def test_the_same_again_has_the_same_bits() -> None:
    members = [[*LINES, f"seed={n}", "model.batch_norm=true"] for n in range(3)]
    for one, other in zip(at_once(members), at_once(members), strict=True):
        assert same(scored(one), scored(other))
