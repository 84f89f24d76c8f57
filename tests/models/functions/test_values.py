"""Test functions: values against the literature, minima, noise, curvature."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import rosen, rosen_der, rosen_hess
from torch import Tensor
from torch.autograd.functional import hessian as hessian_of

from optbench.data.deepobs_quadratic import eigenvalues, hessian
from optbench.models.functions.base import Function
from optbench.models.functions.classical import Beale, Himmelblau
from optbench.models.functions.double_well import DoubleWell
from optbench.models.functions.many_minima import Ackley, Rastrigin, StyblinskiTang
from optbench.models.functions.nesterov_worst import NesterovWorst
from optbench.models.functions.noisy_quadratic import NoisyHessian, NoisyQuadratic
from optbench.models.functions.quadratic import Quadratic
from optbench.models.functions.rosenbrock import Rosenbrock
from optbench.models.functions.saddle import Saddle

from .table import NAMED, SMOOTH, Make

each = pytest.mark.parametrize(("name", "make"), **NAMED)
each_smooth = pytest.mark.parametrize(("name", "make"), **SMOOTH)


def at(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def slope(function: Function, point: Tensor) -> Tensor:
    point = point.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(function.value(point), point)
    return gradient


def curvature(function: Function, point: Tensor) -> Tensor:
    """Eigenvalues of the Hessian, ascending."""
    return torch.linalg.eigvalsh(hessian_of(function.value, point))


@each_smooth
def test_the_minima_are_minima(name: str, make: Make) -> None:
    function = make()
    assert len(function.minima) >= 1
    for point in function.minima:
        size = 1 + float(point.norm())
        assert abs(float(function.value(point)) - function.minimum) < 1e-12 * size
        assert 0 <= float(function.gap(point)) < 1e-15 * size
        assert float(function.distance(point)) == 0
        assert float(slope(function, point).norm()) < 1e-9 * size
        if name != "ackley":  # a cone: it has no Hessian there
            assert float(curvature(function, point)[0]) > 0


@each
def test_nothing_near_is_below_the_minima(name: str, make: Make) -> None:
    function = make()
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(500, len(function.x), generator=generator, dtype=torch.float64)
    for scale in (1e-3, 1.0, 5.0):
        around = function.minima[0] + scale * steps
        assert bool((function.value(around) >= function.minimum - 1e-9).all())
        assert torch.allclose(function.gap(around), function.value(around) - function.minimum)
        assert bool((function.distance(around) <= (scale * steps).norm(dim=1) + 1e-12).all())


@each_smooth
def test_it_is_a_model_of_one_parameter_that_starts_off_its_minimum(name: str, make: Make) -> None:
    function = make()
    assert [key for key, _ in function.named_parameters()] == ["x"]
    assert list(function.state_dict()) == ["x"]
    assert function.x.dtype == torch.float64
    assert float(function.distance(function.x.detach())) > 0.1
    assert float(slope(function, function.x.detach()).norm()) > 1e-3


@each_smooth
def test_the_mean_over_noise_has_the_gradient_of_the_function(name: str, make: Make) -> None:
    function = make()
    with torch.no_grad():
        function.x += 0.3
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(50, len(function.x), generator=generator)
    values = function(torch.cat([noise, -noise]))  # their mean is 0
    assert values.shape == (100,) and values.std() > 0
    values.mean().backward()
    assert function.x.grad is not None
    expected = slope(function, function.x.detach())
    assert torch.allclose(function.x.grad, expected, rtol=1e-6, atol=1e-6)
    still = function(torch.zeros(3, len(function.x)))
    assert torch.equal(still, function.value(function.x).expand(3))


def test_additive_noise_is_added_to_the_gradient() -> None:
    function = Rosenbrock()
    function(torch.tensor([[0.5, -2.0]])).sum().backward()
    assert function.x.grad is not None
    expected = slope(function, function.x.detach()) + at(0.5, -2.0)
    assert torch.allclose(function.x.grad, expected)


def test_a_noisy_minimum_is_where_the_noise_says() -> None:
    for function in (
        NoisyQuadratic(dim=4, condition=50, rotation=1),
        NoisyHessian(hessian=hessian(4), dim=4),
    ):
        noise = torch.tensor([[0.5, -2.0, 1.0, 0.25]])
        assert torch.equal(function(noise)[0], function.value(function.x - noise[0]))
        with torch.no_grad():
            function.x.copy_(noise[0])
        assert function(noise).item() == 0.0 < function(-noise).item()


@pytest.mark.parametrize("dim", [2, 3, 10])
def test_rosenbrock_is_scipys(dim: int) -> None:
    x = np.random.default_rng(dim).normal(size=dim)
    point, function = torch.from_numpy(x), Rosenbrock(dim=dim)
    assert float(function.value(point)) == pytest.approx(rosen(x), rel=1e-13)
    assert slope(function, point).numpy() == pytest.approx(rosen_der(x), rel=1e-11)
    found = hessian_of(function.value, point).numpy()
    assert found == pytest.approx(rosen_hess(x), rel=1e-11)


@pytest.mark.parametrize(
    ("function", "point", "value"),
    [
        (Rosenbrock(), (-1.2, 1.0), 24.2),  # Moré et al. 1981, problem 1: the usual start
        (Rosenbrock(dim=4), (-1.2, 1.0, -1.2, 1.0), 24.2 + 484.0 + 24.2),
        (Beale(), (1.0, 1.0), 14.203125),
        (Beale(), (0.0, 0.0), 1.5**2 + 2.25**2 + 2.625**2),
        (Himmelblau(), (0.0, 0.0), 170.0),
        (Himmelblau(), (-0.270845, -0.923039), 181.616522),  # its local maximum
        (Rastrigin(), (1.0, -2.0), 5.0),
        (Rastrigin(dim=3), (0.5, 0.5, 0.5), 60.75),
        (Ackley(), (1.0, 1.0), 20 * (1 - math.exp(-0.2))),
        (Ackley(dim=1), (0.5,), 20 * (1 - math.exp(-0.1)) + math.e - math.exp(-1)),
        (StyblinskiTang(), (0.0, 0.0), 0.0),
        (StyblinskiTang(dim=3), (1.0, 1.0, 1.0), -15.0),
        (StyblinskiTang(dim=2), (-2.903534, -2.903534), -78.332331),
        (Saddle(), (0.0, 0.0), 0.0),
        (Saddle(dim=3, down=2), (2.0, 1.0, 3.0), 2.0 - 0.25 + 4.5),
        (DoubleWell(depth=3.0, right=2.0), (1.0,), 3.0 * 0.75**2),
        (DoubleWell(depth=3.0, left=0.5), (-1.0,), 27.0),
        (NesterovWorst(dim=3), (0.0, 0.0, 0.0), 0.0),
        (NesterovWorst(dim=3, smoothness=8.0), (1.0, 2.0, 4.0), 20.0),
        (NesterovWorst(dim=3), (0.75, 0.5, 0.25), 0.125 * (1 / 4 - 1)),
        (Quadratic(dim=2, eigenvalues=[1.0, 9.0]), (3.0, -1.0), 9.0),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Function) else None,
)
def test_values_from_the_literature(
    function: Function, point: tuple[float, ...], value: float
) -> None:
    assert float(function.value(at(*point))) == pytest.approx(value, rel=1e-6, abs=1e-12)


def test_many_points_at_once_are_each_by_itself() -> None:
    points = torch.randn(4, 3, 2, dtype=torch.float64)
    for make in (Rosenbrock, Beale, Himmelblau, Rastrigin, Ackley, StyblinskiTang, Saddle):
        function = make()
        values = function.value(points)
        assert values.shape == (4, 3)
        assert float(values[2, 1]) == pytest.approx(float(function.value(points[2, 1])))


def test_wells_of_one_depth_differ_in_sharpness_alone() -> None:
    function = DoubleWell(depth=2.0, left=0.5, right=4.0)
    for x, value, sharp in ((-0.5, 0.0, 64.0), (4.0, 0.0, 1.0), (0.0, 2.0, -0.5)):
        assert float(function.value(at(x))) == value
        assert float(slope(function, at(x)).norm()) == 0
        assert curvature(function, at(x)).tolist() == [pytest.approx(sharp)]


def test_the_saddle_is_one() -> None:
    function = Saddle(dim=4, down=2)
    origin = torch.zeros(4, dtype=torch.float64)
    assert float(slope(function, origin).norm()) == 0
    assert curvature(function, origin).tolist() == [-1, -1, 1, 1]
    assert float(function.distance(at(1.0, -1.0, 0.0, 3.0))) == 3.0  # a minimum not listed is near


def test_himmelblaus_four_minima_and_the_nearest() -> None:
    function = Himmelblau()
    assert len(function.minima) == 4
    assert float(function.distance(at(3.0, 2.5))) == 0.5
    assert float(function.distance(at(3.584428340330492, -1.0))) < 0.85


def test_nesterovs_constants() -> None:
    function = NesterovWorst(dim=50, smoothness=2.0)
    spectrum = curvature(function, function.x.detach())
    assert 1.98 < float(spectrum[-1]) < 2.0
    rows = hessian_of(function.value, function.x.detach())
    assert torch.equal(rows, rows.tril(1).triu(-1))  # k steps know k coordinates


def test_deepobss_numbers() -> None:
    """353.4 is published as the loss before training, over the 7 batches of 128 of its test set."""
    test_set = np.random.RandomState(43).normal(0.0, 0.6, (1000, 100)).astype(np.float32)
    function = NoisyHessian(hessian=hessian())
    losses = function(torch.from_numpy(test_set))
    assert losses[: 7 * 128].mean().item() == pytest.approx(353.44676, abs=2e-4)
    expected = np.sort(eigenvalues(100, np.random.RandomState(42)))
    found = curvature(function, function.x.detach()).numpy()
    assert found == pytest.approx(expected, rel=1e-9)
    assert ((found < 1).sum(), (found > 30).sum()) == (90, 10)
