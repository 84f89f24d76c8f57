"""Instruments of the landscape and the path on all kinds of runs, which go on to the same bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path as File
from typing import Any

import pytest
from training.experiments import experiment
from training.runs import assert_same_bits

from optbench.errors import UserError
from optbench.instruments.base import Measurement
from optbench.instruments.effective_lr import EffectiveLr
from optbench.instruments.interpolation import Interpolation
from optbench.instruments.landscape import Landscape
from optbench.instruments.look import Look
from optbench.instruments.next_updates import Updates
from optbench.instruments.path import Path
from optbench.instruments.plane import Plane
from optbench.instruments.points import Along, Point, here
from optbench.instruments.sharpness import Sharpness
from optbench.training.callback import Callback
from optbench.training.trainer import Trainer

TEXT = ["dataset=text", "dataset.path=text.txt", "dataset.context=8", "batch_size=4"]
RUNS = {
    "batch norm": ["model=mlp", "dataset=digits", "model.batch_norm=true", "batch_size=16"],
    "dropout": ["model=mlp", "dataset=digits", "model.dropout=0.5", "optimizer=adam"],
    "lstm": [*TEXT, "model=lstm", "model.width=6", "model.dropout=0.2"],
    "closure": ["model=mlp", "dataset=digits", "wrapper=sam"],
    "fp16": ["model=mlp", "dataset=digits", "precision=fp16", "accumulate=2"],
    "ema": ["model=mlp", "dataset=digits", "ema=0.9", "schedule=cosine", "optimizer=adamw"],
}
SLOW = ("closure", "fp16", "ema")
OTHERS = {
    "carried state": [*TEXT, "model=lstm", "model.width=6", "task.carry=true"],
    "two players": ["task=adversarial", "model=dcgan", "model.width=4", "dataset=digits"],
}
OF_LOSSES: list[Callable[[], Any]] = [
    lambda: Sharpness(ascents=2, draws=2, examples=8),
    lambda: Landscape(points=3, lines=1, grid=3, examples=8),
    lambda: Plane(grid=2, examples=8),
    lambda: Interpolation(points=3, examples=8),
]
OTHERWISE: list[Callable[[], Any]] = [Path, lambda: Updates(steps=2), EffectiveLr]


@pytest.fixture(autouse=True)
def _text(tmp_path: File, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    File("text.txt").write_text(
        "the quick brown fox jumps over the lazy dog " * 12, encoding="utf-8"
    )


def measured(look: Look, make: Callable[[], Any], points: Sequence[Point]) -> Measurement:
    instrument = make()
    assert instrument.lacking(look) is None
    if isinstance(instrument, Along):
        return instrument.measure_along(look, points)
    found: Measurement = instrument.measure(look)
    return found


class Watch(Callback):
    """Measures everything in the middle of a pass over the data."""

    def __init__(self, makes: Sequence[Callable[[], Any]]) -> None:
        self._makes = makes
        self._points: list[Point] = []
        self.seen: list[Measurement] = []

    def on_step_end(self, trainer: Trainer, step: int) -> None:
        look = Look(trainer, trainer.players[0].name)
        self._points.append(here(look))
        if step == 3:
            self.seen = [measured(look, make, self._points) for make in self._makes]


def ended(run: list[str], watch: Watch | None) -> dict[str, Any]:
    made = experiment(*run, "steps=5")
    made.trainer(callbacks=[] if watch is None else [watch]).run()
    parts = [part for player in made.state.players for part in player.module.modules()]
    own = made.state.own()
    return {
        **made.state.shared()["players"],
        "own": own,
        "modes": [part.training for part in parts],
        "losses": {player.name: player.loss.state_dict() for player in made.state.players},
    }


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(run, id=name, marks=[pytest.mark.slow] if name in SLOW else [])
        for name, run in RUNS.items()
    ],
)
def test_a_run_goes_on_to_the_same_bits(run: list[str]) -> None:
    watch = Watch([*OF_LOSSES, *OTHERWISE])
    assert_same_bits(ended(run, watch), ended(run, None))
    assert len(watch.seen) == 7
    for found in watch.seen:
        assert found.values and found.notes
        assert all(isinstance(value, float) for value in found.values.values())
    assert sum("batch norm" in note for found in watch.seen for note in found.notes) == (
        4 if "model.batch_norm=true" in run else 0
    )


@pytest.mark.parametrize("run", OTHERS.values(), ids=OTHERS)
def test_what_has_no_one_loss_is_refused_in_a_line(run: list[str]) -> None:
    trainer = experiment(*run).trainer()
    look = Look(trainer, trainer.players[0].name)
    for make in OF_LOSSES:
        why = make().lacking(look)
        assert why is not None and "\n" not in why
        assert "task.carry=true" in why or "a run of 2 players (discriminator and" in why


@pytest.mark.slow
@pytest.mark.parametrize("run", OTHERS.values(), ids=OTHERS)
def test_what_needs_no_loss_measures_them_all_the_same(run: list[str]) -> None:
    watch = Watch(OTHERWISE)
    assert_same_bits(ended(run, watch), ended(run, None))
    assert len(watch.seen) == 3


def test_what_needs_checkpoints_says_so_where_there_is_one_point() -> None:
    look = Look(experiment("model=mlp", "dataset=digits").trainer())
    for made in (Plane(), Interpolation()):
        with pytest.raises(UserError, match="optbench probe measures it afterwards"):
            made.measure(look)


def test_no_validation_set_is_no_validation_loss() -> None:
    trainer = experiment("model=mlp", "dataset=digits", "dataset.val_fraction=0").trainer()
    assert Sharpness(split="val").lacking(Look(trainer)) == (
        "no validation set (dataset.val_fraction=0)"
    )
