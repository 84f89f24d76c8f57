"""Stochastic Lanczos quadrature against known spectra."""

from __future__ import annotations

import math

import pytest
import torch

from optbench.instruments.density import density
from optbench.instruments.spectrum import shares

from .matrices import Counted, like_a_hessian, rotated, scaled


def test_moments_are_exact_but_for_the_random_vectors() -> None:
    """v^T A^k v of the same vectors, from their quadrature with few steps."""
    matrix = rotated(like_a_hessian())
    found = density(Counted(matrix), 300, probes=3, steps=6, seed=4)
    generator = torch.Generator().manual_seed(4)
    direct = []
    for _ in range(3):
        vector = torch.randn(300, generator=generator, dtype=torch.float64)
        vector = vector / vector.norm()
        powers = [vector]
        for _ in range(11):
            powers.append(matrix @ powers[-1])
        direct.append(torch.stack([vector @ each for each in powers]))
    wanted = torch.stack(direct).mean(dim=0)
    for power in range(12):
        assert found.moment(power)[0] == pytest.approx(float(wanted[power]), rel=1e-9)


def test_shares_are_the_spectrums() -> None:
    true = like_a_hessian()
    found = density(Counted(rotated(true)), 300, probes=30, steps=60)
    negative, error = found.share(-math.inf, -0.1)
    wanted = float((true < -0.1).double().mean())
    assert 0 < error < 0.02
    assert abs(negative - wanted) <= 4 * error
    values, (note,) = shares(found)
    assert values["negative_share"] == pytest.approx(float((true < -0.1).double().mean()), abs=0.03)
    assert values["mean"] == pytest.approx(float(true.mean()), abs=0.2)
    assert "by 30 random vectors, +- " in note


def test_the_curve_is_a_density() -> None:
    found = density(scaled([1.0, 2.0, 2.0, 5.0]), 4, probes=2, steps=4)
    where, heights = found.curve(points=4000)
    assert float(torch.trapezoid(heights, where)) == pytest.approx(1, abs=1e-3)
    flat = density(scaled([0.0] * 5), 5, probes=2)
    assert bool(torch.isfinite(flat.curve()[1]).all())


def test_what_ends_early_has_all_its_weight() -> None:
    found = density(scaled([3.0] * 6), 6, probes=2, steps=5)
    assert found.products == 2
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(2, dtype=torch.float64))
    assert found.share(2.9, 3.1)[0] == pytest.approx(1)
