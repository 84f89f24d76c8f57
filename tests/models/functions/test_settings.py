"""What test functions can be told: dimension, start, spectrum, dtype; and what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.autograd.functional import hessian as hessian_of

from optbench.data.deepobs_quadratic import hessian
from optbench.models.functions.classical import Beale, Himmelblau
from optbench.models.functions.double_well import DoubleWell
from optbench.models.functions.logistic_regression import LogisticRegression
from optbench.models.functions.many_minima import Ackley, Rastrigin
from optbench.models.functions.nesterov_worst import NesterovWorst
from optbench.models.functions.noisy_quadratic import NoisyHessian, NoisyQuadratic
from optbench.models.functions.quadratic import Quadratic, random_rotation
from optbench.models.functions.rosenbrock import Rosenbrock
from optbench.models.functions.saddle import Saddle

from .table import NAMED, Make, examples


def spectrum(**settings: Any) -> torch.Tensor:
    """Eigenvalues of the Hessian at the start, ascending."""
    function = Quadratic(**settings)
    return torch.linalg.eigvalsh(hessian_of(function.value, function.x.detach()))


@pytest.mark.parametrize("rotation", [None, 5])
def test_a_quadratic_has_the_spectrum_that_is_asked_for(rotation: int | None) -> None:
    log = np.logspace(-3, 0, 20)
    assert spectrum(dim=20, condition=1000, rotation=rotation).numpy() == pytest.approx(log)
    even = np.linspace(0.1, 1, 20)
    found = spectrum(dim=20, condition=10, spectrum="linear", rotation=rotation)
    assert found.numpy() == pytest.approx(even)
    own = spectrum(dim=3, eigenvalues=[5, 2, 3.5], rotation=rotation)
    assert own.numpy() == pytest.approx([2, 3.5, 5])
    assert spectrum(dim=1).tolist() == [1.0]


@pytest.mark.parametrize("rotation", [None, 5])
def test_the_usual_start_is_at_distance_1_along_every_eigenvector(rotation: int | None) -> None:
    function = Quadratic(dim=6, condition=64, rotation=rotation)
    _, vectors = torch.linalg.eigh(hessian_of(function.value, function.x.detach()))
    along = (function.x.detach() @ vectors).abs()
    assert torch.allclose(along, torch.ones(6, dtype=torch.float64))


def test_a_rotation_is_one_of_its_seed() -> None:
    one = random_rotation(8, 1)
    assert torch.allclose(one @ one.T, torch.eye(8, dtype=torch.float64), atol=1e-14)
    assert torch.equal(one, random_rotation(8, 1))
    assert not torch.allclose(one, random_rotation(8, 2))


def test_ten_thousand_dimensions_take_no_matrix() -> None:
    function = NoisyQuadratic(dim=10_000, condition=1e6)
    function(torch.zeros(2, 10_000)).mean().backward()
    assert sum(b.numel() for b in function.buffers()) == 2 * 10_000


def test_making_one_draws_nothing() -> None:
    state = torch.random.get_rng_state()
    Quadratic(dim=4, rotation=1)
    NoisyHessian(hessian=hessian(4), dim=4)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_start_of_ones_own() -> None:
    assert Beale(start=[2, -1.5]).x.tolist() == [2.0, -1.5]
    assert Rastrigin(dim=3, start=0.5).x.tolist() == [0.5, 0.5, 0.5]
    assert Rosenbrock(dim=3).x.tolist() == [-1.2, 1.0, -1.2]


@pytest.mark.parametrize(("name", "make"), **NAMED)
def test_one_dtype_throughout(name: str, make: Make) -> None:
    wide = make()
    narrow = wide.to(torch.float32)
    value = narrow(torch.zeros(2, len(narrow.x)))
    assert {value.dtype, narrow.x.dtype, narrow.gap(narrow.x).dtype} == {torch.float32}


def test_float32_is_to_be_had() -> None:
    function = Ackley(dtype="float32")
    assert function(torch.zeros(1, 2, dtype=torch.float64)).dtype == torch.float32


def test_logistic_regression_is_convex_and_its_minimum_newtons() -> None:
    function = LogisticRegression(examples=examples(), dim=21, penalty=0.05)
    start = function.x.detach()
    assert float(function.value(start)) == pytest.approx(np.log(3))  # all classes alike
    for point in (start, start + 1.0, function.minima[0]):
        least = torch.linalg.eigvalsh(hessian_of(function.value, point))[0]
        assert float(least) >= 0.05 * (1 - 1e-9)
    weights = function.minima[0].view(3, 7)
    features = function.features
    from sklearn.linear_model import LogisticRegression as Peer

    # the constant is penalised too, so it is one more feature to scikit-learn
    peer = Peer(C=1 / (0.05 * len(features)), fit_intercept=False, tol=1e-12, max_iter=10_000)
    peer.fit(features.numpy(), function.targets.argmax(1).numpy())
    assert weights.numpy() == pytest.approx(peer.coef_, abs=1e-6)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Beale(dim=3), "dim=3: beale has only 2 dimensions"),
        (lambda: Himmelblau(dim=1), "dim=1: himmelblau has only 2 dimensions"),
        (lambda: Rosenbrock(dim=1), "dim=1: rosenbrock has at least 2 dimensions"),
        (lambda: Rastrigin(dim=0), "dim=0: rastrigin has at least 1 dimension"),
        (lambda: DoubleWell(dim=2), "dim=2: a double well has only 1 dimension"),
        (lambda: DoubleWell(left=0), "left=0: expected a number above 0"),
        (lambda: Saddle(dim=2, down=2), "down=2: directions that lead down, 1 to dim - 1 = 1"),
        (
            lambda: LogisticRegression(examples=examples(), dim=20),
            "dim=20: logistic regression of these examples has only 21 dimensions",
        ),
        (lambda: LogisticRegression(examples=examples(), dim=21, penalty=0), "penalty=0"),
        (lambda: Quadratic(spectrum="lin"), "spectrum='lin' is not known; did you mean linear?"),
        (lambda: Quadratic(condition=0.5), "condition=0.5"),
        (lambda: Quadratic(dim=3, eigenvalues=[1, 2]), "eigenvalues: 2 of them, but dim=3"),
        (lambda: Quadratic(dim=2, eigenvalues=[1, -2]), "all have to be positive"),
        (lambda: NesterovWorst(smoothness=0), "smoothness=0"),
        (lambda: NoisyHessian(hessian=np.eye(3), dim=4), r"hessian: of shape \[3, 3\], but dim=4"),
        (lambda: NoisyHessian(hessian=np.tri(3), dim=3), "hessian: not symmetric"),
        (lambda: Beale(start=[1, 2, 3]), r"start=\[1, 2, 3\]: expected 2 finite numbers"),
        (lambda: Beale(start=["a", 1]), "expected 2 finite numbers"),
        (lambda: Beale(start=float("nan")), "start=nan: expected 2 finite numbers"),
        (lambda: Beale(dtype="float16"), "dtype=float16: a function is computed in float64 or"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(make: Make, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_deepobss_hessian_needs_a_plane() -> None:
    with pytest.raises(ValueError, match=r"^dim=1: quadratic_deep has at least 2 dimensions"):
        hessian(1)
