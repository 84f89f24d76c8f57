"""Cockpit's instruments of single examples' gradients, against the papers' formulas on a loop."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from training.experiments import experiment

from optbench.instruments.cockpit.cabs import CABS
from optbench.instruments.cockpit.early_stopping import EarlyStopping
from optbench.instruments.cockpit.grad_hist import BINS, GradHist1d, GradHist2d, bins, edge
from optbench.instruments.cockpit.inner_test import InnerTest
from optbench.instruments.cockpit.mean_gsnr import MeanGSNR
from optbench.instruments.cockpit.norm_test import NormTest
from optbench.instruments.cockpit.of_examples import OfExamples
from optbench.instruments.cockpit.ortho_test import OrthoTest
from optbench.instruments.cockpit.tic import TICDiag, TICTrace
from optbench.instruments.diagonal import ggn_diagonal
from optbench.instruments.look import Look

from ..dense import dense, digits


def trained() -> Look:
    """A run on the digits, some steps from its beginning."""
    trainer = digits("optimizer.lr=0.01")
    trainer.run(until=5)
    return Look(trainer)


def cabs(losses: Tensor, rows: Tensor) -> float:
    return 0.01 * float((rows.square().mean(0) - rows.mean(0) ** 2).sum() / losses.mean())


def early_stopping(losses: Tensor, rows: Tensor) -> float:
    return 1 - len(rows) * float((rows.mean(0) ** 2 / (rows.var(0) + 1e-5)).mean())


def norm_test(losses: Tensor, rows: Tensor) -> float:
    return math.sqrt(rows.var(0).sum() / len(rows) / rows.mean(0).square().sum())


def inner_test(losses: Tensor, rows: Tensor) -> float:
    mean = rows.mean(0)
    return math.sqrt((rows @ mean).var() / len(rows) / (mean @ mean) ** 2)


def ortho_test(losses: Tensor, rows: Tensor) -> float:
    mean = rows.mean(0)
    left = rows - torch.outer(rows @ mean / (mean @ mean), mean)
    return math.sqrt(left.square().sum() / (len(rows) - 1) / len(rows) / (mean @ mean))


def mean_gsnr(losses: Tensor, rows: Tensor) -> float:
    return float((rows.mean(0) ** 2 / (rows.var(0, correction=0) + 1e-5)).mean())


@pytest.mark.parametrize("examples", [None, 150], ids=["the next step's", "evenly spread"])
@pytest.mark.parametrize(
    ("cls", "formula"),
    [
        (CABS, cabs),
        (EarlyStopping, early_stopping),
        (NormTest, norm_test),
        (InnerTest, inner_test),
        (OrthoTest, ortho_test),
        (MeanGSNR, mean_gsnr),
    ],
)
def test_each_is_the_papers_formula(
    cls: type[OfExamples], formula: Any, examples: int | None
) -> None:
    look = trained()
    instrument = cls(examples)
    assert instrument.lacking(look) is None
    found = instrument.measure(look)
    wanted = formula(*dense(look, examples))
    assert found.values == {cls.name: pytest.approx(wanted, rel=2e-4)}
    assert f"{examples or 64}" in found.notes[0]


def dense_diagonal(look: Look) -> Tensor:
    """The Gauss-Newton matrix's diagonal by products with every unit vector."""
    count = sum(p.numel() for p in look.parameters)
    sizes = [p.numel() for p in look.parameters]
    shapes = [p.shape for p in look.parameters]
    found = torch.zeros(count, dtype=torch.float64)
    with look.objective(look.size()) as objective, objective.at_rest():
        for place in range(count):
            unit = torch.zeros(count)
            unit[place] = 1
            vectors = [v.view(s) for v, s in zip(unit.split(sizes), shapes, strict=True)]
            products = objective.ggnvp(look.parameters, vectors)
            found[place] = torch.cat([p.flatten() for p in products])[place].double()
    return found


def test_the_diagonal_and_the_criteria_are_those_of_products_with_unit_vectors() -> None:
    look = Look(digits("model.hidden=[3]", "dataset.val_fraction=0.9", "batch_size=full"))
    wanted = dense_diagonal(look)
    found = torch.cat([each.flatten() for each in ggn_diagonal(look)]).double()
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-7)
    _, rows = dense(look)
    squares = rows.square().mean(0)
    by_trace = float(squares.sum() / (wanted.sum() + 1e-7))
    assert TICTrace().measure(look).values["tic_trace"] == pytest.approx(by_trace, rel=1e-3)
    alive = float((squares / (found + 1e-7)).sum())
    assert TICDiag().measure(look).values["tic_diag"] == pytest.approx(alive, rel=1e-3)


def test_what_has_no_diagonal_is_left_out_with_its_reason() -> None:
    linear = Look(experiment("model=noisy_quadratic", "model.dim=3").trainer())
    assert "is linear in the outputs" in str(TICDiag().lacking(linear))
    norm = Look(digits("model.batch_norm=true"))
    assert "BatchNorm in train mode" in str(TICTrace(mode="train").lacking(norm))


def test_a_histogram_counts_every_entry_once_at_its_size() -> None:
    look = trained()
    found = GradHist1d(150).measure(look)
    _, rows = dense(look, 150)
    table = found.tables["grad_hist_1d"]
    assert table["zeros"] + sum(table["counts"]) == rows.numel()
    assert found.values["grad_hist_1d/zeros"] == pytest.approx(
        float((rows == 0).double().mean()), abs=1e-3
    )
    middle = float(rows[rows != 0].abs().median())
    assert found.values["grad_hist_1d/p50"] == pytest.approx(middle, rel=0.35)
    both = GradHist2d(150).measure(look)
    counts = torch.tensor(both.tables["grad_hist_2d"]["counts"])
    assert counts.sum(0)[1:].tolist() == table["counts"]
    sizes = torch.cat([p.detach().flatten().abs().double() for p in look.parameters])
    slopes = rows.square().mean(0).sqrt()
    wanted = float(torch.corrcoef(torch.stack([sizes, slopes]))[0, 1])
    assert both.values["grad_hist_2d/correlation"] == pytest.approx(wanted, abs=1e-3)


def test_sizes_lie_in_the_bins_whose_edges_are_around_them() -> None:
    sizes = torch.tensor([0.0, 1e-20, 1.5e-3, -1.5e-3, 0.9, 1e9])
    found = bins(sizes).tolist()
    assert found[0] == 0 and found[1] == 1 and found[2] == found[3] and found[5] == BINS
    assert edge(found[2]) <= 1.5e-3 < edge(found[2] + 1)
    assert edge(found[4]) <= 0.9 < edge(found[4] + 1)


def test_one_example_has_no_variance() -> None:
    look = Look(digits("batch_size=1"))
    found = NormTest().measure(look)
    assert not found.values and "one example has no variance" in found.notes
    with pytest.raises(ValueError, match="examples=1: at least 2"):
        NormTest(1)


def test_pictures_are_drawn() -> None:
    pyplot = pytest.importorskip("matplotlib.figure")
    look = trained()
    for instrument in (GradHist1d(20), GradHist2d(20)):
        (draw,) = instrument.measure(look).pictures.values()
        axes = pyplot.Figure().subplots()
        draw(axes)
        assert axes.get_xscale() == "log"
