"""Interpolation: barriers of known functions, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from training.experiments import experiment

from optbench.errors import UserError
from optbench.instruments.interpolation import Interpolation, barrier
from optbench.instruments.look import Look
from optbench.instruments.points import Point, here
from optbench.training.trainer import Trainer


def at(look: Look, x: list[float]) -> Point:
    return Point(7, {**here(look).state, "x": torch.tensor(x, dtype=torch.float64)}, "other")


def test_the_barrier_of_a_double_well() -> None:
    wells = -2.903534027771177, 2.746802771186165  # of (x^4 - 16 x^2 + 5 x) / 2
    trainer = experiment(
        *("task=function", "model=styblinski_tang", "model.dim=1"), f"model.start=[{wells[0]}]"
    ).trainer()
    look = Look(trainer)
    found = Interpolation(points=201, examples=1).measure_along(look, [at(look, [wells[1]])])
    x = np.linspace(*wells, 201)
    f = (x**4 - 16 * x**2 + 5 * x) / 2
    line = np.linspace(f[0], f[-1], 201)
    assert found.values["interpolation/barrier"] == pytest.approx((f - line).max(), rel=1e-9)
    assert found.values["interpolation/barrier"] == pytest.approx(31.85, abs=0.5)
    assert found.values["interpolation/there"] - found.values["interpolation/here"] == (
        pytest.approx(f[-1] - f[0])
    )
    assert found.values["interpolation/distance"] == pytest.approx(wells[1] - wells[0])
    assert "from step 0 to step 7 of other" in found.notes[0] and "a barrier of" in found.notes[0]


def test_there_is_none_on_a_convex_function() -> None:
    trainer = experiment("task=function", "model=quadratic", "model.dim=3").trainer()
    look = Look(trainer)
    found = Interpolation().measure_along(look, [at(look, [-4.0, 2.0, 0.5])])
    assert found.values["interpolation/barrier"] == 0
    assert "no barrier" in found.notes[0]


def test_a_loss_that_is_no_number_is_an_infinite_barrier() -> None:
    assert barrier([0, 0.5, 1], [1.0, float("nan"), 1.0]) == (float("inf"), 0.5)
    assert barrier([0, 0.5, 1], [1.0, 2.0, 1.0]) == (1.0, 0.5)


@pytest.fixture(scope="module")
def two() -> tuple[Trainer, Point]:
    """A run with batch norm, and the end of another seed's."""
    ends = []
    for seed in (0, 1):
        made = experiment(
            *("model=mlp", "model.batch_norm=true", "dataset=digits", "batch_size=32"),
            *(f"seed={seed}", "steps=40"),
        )
        ends.append(made.trainer())
        ends[-1].run()
    return ends[0], Point(40, here(Look(ends[1])).state, "other")


def test_both_ends_are_the_runs_own(two: tuple[Trainer, Point]) -> None:
    trainer, other = two
    look = Look(trainer)
    found = Interpolation(points=5, batch_norm="interpolated").measure_along(look, [other])
    with look.objective(1024) as objective:
        assert found.values["interpolation/here"] == float(objective.loss())
    assert found.values["interpolation/barrier"] > 0


def test_batch_norms_statistics_are_of_each_points_examples(two: tuple[Trainer, Point]) -> None:
    trainer, other = two
    look = Look(trainer)
    before = {name: tensor.clone() for name, tensor in look.module.state_dict().items()}
    found = Interpolation(points=3, examples=64).measure_along(look, [other])
    middle = {n: (t + other.state[n]) / 2 for n, t in before.items() if t.is_floating_point()}
    look.module.load_state_dict(middle, strict=False)
    with look.objective(64, mode="train") as objective:  # of the same examples, in one batch
        wanted = float(objective.loss())
    look.module.load_state_dict(before)
    # Running variances divide by one less than a batch's own.
    assert found.tables["losses"][1] == pytest.approx(wanted, rel=0.05)
    assert any("taken anew from these examples" in note for note in found.notes)
    assert all(torch.equal(before[n], t) for n, t in look.module.state_dict().items())


def test_another_model_is_refused(two: tuple[Trainer, Point]) -> None:
    trainer, _ = two
    with pytest.raises(
        UserError, match=r"other: another model than the run's: blocks.* is not there, in the run "
    ):
        Interpolation().measure_along(Look(trainer), [Point(1, {"x": torch.ones(1)}, "other")])
    with pytest.raises(UserError, match=r"interpolation\.to=RUN"):
        Interpolation().measure_along(Look(trainer), [])


@pytest.mark.parametrize(
    ("wrong", "said"), [({"points": 2}, "points=2"), ({"batch_norm": "no"}, "batch_norm=no")]
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Interpolation(**wrong)  # type: ignore[arg-type]
