"""Landscapes: what is drawn is the loss at the points that are said, and planes are the path's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from training.experiments import experiment

from optbench.errors import UserError
from optbench.instruments import directions
from optbench.instruments.landscape import Landscape
from optbench.instruments.look import Look
from optbench.instruments.path import Path
from optbench.instruments.plane import Plane, principal
from optbench.instruments.points import Point, here, placed
from optbench.training.trainer import Trainer

MLP = ["model=mlp", "dataset=digits", "batch_size=32", "optimizer.lr=0.1"]


def quadratic(*more: str) -> Trainer:
    return experiment("task=function", "model=quadratic", *more).trainer()


def trained(steps: int, *overrides: str) -> tuple[Trainer, list[Point]]:
    """A trainer at the end, and its points after each step."""
    trainer = experiment(*overrides, f"steps={steps}").trainer()
    look = Look(trainer)
    points = [here(look)]
    for step in range(1, steps + 1):
        trainer.run(until=step)
        points.append(here(look))
    return trainer, points


def test_a_line_through_a_quadratic_is_its_parabola() -> None:
    trainer = quadratic("model.dim=3", "model.eigenvalues=[1,2,5]", "model.start=[1,2,0]")
    found = Landscape(span=2, points=5, lines=2, grid=3, examples=1).measure(Look(trainer))
    h, w = torch.tensor([1.0, 2.0, 5.0]).double(), torch.tensor([1.0, 2.0, 0.0]).double()
    drawn = directions.generator(0)
    ways = []
    for _ in range(2):
        (way,) = directions.normal([w], drawn)
        ways.append(way / way.norm() * w.norm())
    at = [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert found.tables["along"] == at
    for way, line in zip(ways, found.tables["lines"], strict=True):
        wanted = [0.5 * float((h * (w + a * way) ** 2).sum()) for a in at]
        assert line == pytest.approx(wanted, rel=1e-12)
    for row, b in zip(found.tables["plane"], (-2.0, 0.0, 2.0), strict=True):
        for loss, a in zip(row, (-2.0, 0.0, 2.0), strict=True):
            there = w + a * ways[0] + b * ways[1]
            assert loss == pytest.approx(0.5 * float((h * there**2).sum()), rel=1e-12)
    rise = sum(2.0**2 / 2 * float((h * way**2).sum()) for way in ways) / 2
    assert found.values["landscape/rise"] == pytest.approx(rise)
    assert found.values["landscape/loss"] == pytest.approx(4.5)


def test_filters_are_as_long_as_the_points_and_biases_stay() -> None:
    weight, bias = torch.randn(4, 2, 3, 3), torch.randn(4)
    drawn = directions.normal([weight, bias], directions.generator(1))
    made = directions.filter_normalised(drawn, [weight, bias])
    torch.testing.assert_close(made[0].flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))
    cosines = torch.cosine_similarity(made[0].flatten(1), drawn[0].flatten(1))
    torch.testing.assert_close(cosines, torch.ones(4))
    assert not made[1].any()
    weight[2] = 0
    again = directions.filter_normalised([torch.zeros_like(weight), bias], [weight, bias])
    assert bool(again[0].isfinite().all())


def test_the_principal_directions_of_points_in_a_plane() -> None:
    axes = torch.linalg.qr(torch.randn(7, 2, generator=directions.generator(3)).double())[0].T
    along = torch.tensor([[4.0, 0.5], [3.0, -0.5], [1.0, 0.3], [0.0, 0.0]]).double()
    offsets = [[(at @ axes)[:3], (at @ axes)[3:].reshape(2, 2)] for at in along]
    found = principal(offsets)
    assert sum(found.shares) == pytest.approx(1)
    centred = along - along.mean(dim=0)
    values = torch.linalg.svdvals(centred).square()
    assert found.shares[0] == pytest.approx(float(values[0] / values.sum()))
    gram = [[directions.inner(a, b) for b in found.ways] for a in found.ways]
    torch.testing.assert_close(torch.tensor(gram), torch.eye(2), atol=1e-6, rtol=0)
    assert found.path[0][0] > 0 and found.path[-1] == (0.0, 0.0)
    for at, (x, y) in zip(along, found.path, strict=True):
        assert math.hypot(x, y) == pytest.approx(float(at.norm()))


def test_the_plane_of_a_path_that_lies_in_it_has_its_losses() -> None:
    trainer, points = trained(
        *(6, "task=function", "model=quadratic", "model.dim=2", "model.eigenvalues=[1,6]"),
        *("model.start=[2,1]", "optimizer=sgd", "optimizer.lr=0.3"),
    )
    found = Plane(grid=9, examples=1).measure_along(Look(trainer), points)
    assert found.values["plane/share"] == pytest.approx(1)
    assert found.values["plane/loss_off_the_plane"] == pytest.approx(0, abs=1e-9)
    assert found.tables["losses"][0] == pytest.approx(5)
    assert found.tables["steps"] == [0, 1, 2, 3, 4, 5, 6]
    assert len(found.tables["plane"]) == 9 == len(found.tables["plane"][0])
    said = " ".join(found.notes)
    assert "random walk in many dimensions has 61 % and 15 %" in said


def test_the_planes_values_are_the_loss_at_moved_parameters() -> None:
    trainer, points = trained(4, *MLP, "model.batch_norm=true")
    look = Look(trainer)
    found = Plane(grid=3, examples=64).measure_along(look, points)
    offsets = [
        [point.state[name] - points[-1].state[name] for name in look.player.names]
        for point in points
    ]
    ways = principal(offsets).ways
    x, y = found.tables["xs"][0], found.tables["ys"][2]
    to = [p.detach() + x * a + y * b for p, a, b in zip(look.parameters, *ways, strict=True)]
    with placed(look, points[-1].state), look.moved(to), look.objective(64) as objective:
        assert float(objective.loss()) == pytest.approx(found.tables["plane"][2][0], rel=1e-5)
    assert any("running statistics of step 4" in note for note in found.notes)
    assert 0 < found.values["plane/share"] <= 1


def test_too_few_points_make_no_plane() -> None:
    trainer, points = trained(2, *MLP)
    with pytest.raises(UserError, match=r"plane: 2 checkpoints, and a plane takes 3; keep more"):
        Plane().measure_along(Look(trainer), points[:2])
    with pytest.raises(UserError, match="all on one line"):
        Plane().measure_along(Look(trainer), [points[0]] * 3)
    with pytest.raises(UserError, match="path: 1 checkpoint, and a path takes 2"):
        Path().measure_along(Look(trainer), points[:1])
    smaller = Point(3, {name: torch.zeros(1) for name in points[0].state}, "other")
    with pytest.raises(UserError, match=r"other: another model than the run's: .* is "):
        Path().measure_along(Look(trainer), [points[0], smaller])


def test_a_path_along_and_live_are_the_same() -> None:
    at: list[Tensor] = [torch.tensor(v).double() for v in ([3.0, 0.0], [1.0, 0.0], [1.0, 4.0])]
    trainer = quadratic("model.dim=2", "model.eigenvalues=[1,1]", "model.start=[3,0]")
    look, live = Look(trainer), Path()
    points, seen = [], []
    for step, value in enumerate(at):
        with look.moved([value]):
            points.append(Point(10 * step, here(look).state))
            seen.append(live.measure(look).values)
    found = Path().measure_along(look, points)
    wanted = {
        "path/distance": math.hypot(2, 4),
        "path/relative_distance": math.hypot(2, 4) / 3,
        "path/length": 6.0,
        "path/straightness": math.hypot(2, 4) / 6,
        "path/displacement": 4.0,
        "path/cosine": 0.0,
    }
    assert found.values == pytest.approx(wanted)
    assert seen[-1] == pytest.approx(wanted)
    assert seen[0] == {"path/distance": 0.0, "path/length": 0.0, "path/relative_distance": 0.0}
    assert "10 steps apart" in found.notes[0]


def test_pictures_draw_themselves() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    trainer, points = trained(4, *MLP)
    look = Look(trainer)
    made = [
        Landscape(points=3, grid=5, examples=16).measure(look).pictures,
        Plane(grid=5, examples=16).measure_along(look, points).pictures,
        Path().measure_along(look, points).pictures,
    ]
    assert [[*each] for each in made] == [["line", "plane"], ["plane"], ["distance", "cosine"]]
    for draw in [draw for pictures in made for draw in pictures.values()]:
        axes = figures.Figure().add_subplot()
        draw(axes)
        assert axes.get_title() and axes.get_xlabel() and axes.get_ylabel()


def test_a_loss_that_is_no_number_is_left_white() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    trainer = experiment("task=function", "model=quadratic", "model.dtype=float32").trainer()
    found = Landscape(span=1e25, points=3, grid=5, lines=1, examples=1).measure(Look(trainer))
    assert math.inf in found.tables["lines"][0]
    for draw in found.pictures.values():
        draw(figures.Figure().add_subplot())


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"span": 0}, "span=0"), ({"points": 4}, "points=4: .*odd"), ({"grid": 2}, "grid=2")],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Landscape(**wrong)  # type: ignore[arg-type]
