"""K-FAC's factors, and its inverse times the gradient, beside curvlinops' on the same network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
from torch import nn
from training.objectives import Problem

from .problems import error, kfac, mlp, stepped, strided, two_conv_two_dense

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # one of its own dependencies uses what torch deprecates
    import curvlinops

METHODS = ("cholesky", "eigen", "ekfac")
pytestmark = pytest.mark.filterwarnings("ignore")


def theirs(problem: Problem, kind: str, sharing: str) -> Any:
    cls = curvlinops.EKFACLinearOperator if kind == "ekfac" else curvlinops.KFACLinearOperator
    return cls(
        problem.module,
        nn.CrossEntropyLoss(),
        problem.parameters,
        [(problem.inputs, problem.targets)],
        fisher_type="empirical",
        kfac_approx=sharing,
        separate_weight_and_bias=False,
        check_deterministic=False,
    )


@pytest.mark.parametrize("make", [mlp, two_conv_two_dense, strided])
@pytest.mark.parametrize(
    ("method", "sharing"),
    # With `reduce` their second moments are of reduced gradients, ours of the true ones.
    [(m, s) for m in METHODS for s in ("expand", "reduce") if (m, s) != ("ekfac", "reduce")],
)
def test_the_inverse_times_the_gradient_is_theirs(
    make: Callable[[], Problem], sharing: str, method: str
) -> None:
    problem, same = make(), make()
    optimizer = kfac(
        problem, fisher="empirical", method=method, sharing=sharing, damping=1e-2, factor_decay=0.0
    )
    gradients, moved = stepped(problem, optimizer)
    how = "use_heuristic_damping" if method == "cholesky" else "use_exact_damping"
    operator = theirs(same, method, sharing)
    inverse = curvlinops.KFACInverseLinearOperator(operator, damping=1e-2, **{how: True})
    assert error(moved, inverse @ gradients) <= 1e-9
