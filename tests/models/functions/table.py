"""All test functions by the name of their YAML, small."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from optbench.data.arrays import ArrayDataset, Examples
from optbench.data.deepobs_quadratic import hessian
from optbench.models.functions.base import Function
from optbench.models.functions.classical import Beale, Himmelblau
from optbench.models.functions.discrete import Knapsack, OneMax
from optbench.models.functions.double_well import DoubleWell
from optbench.models.functions.logistic_regression import LogisticRegression
from optbench.models.functions.many_minima import Ackley, Rastrigin, StyblinskiTang
from optbench.models.functions.nesterov_worst import NesterovWorst
from optbench.models.functions.noisy_quadratic import NoisyHessian, NoisyQuadratic
from optbench.models.functions.quadratic import Quadratic
from optbench.models.functions.reddi import Reddi
from optbench.models.functions.rosenbrock import Rosenbrock
from optbench.models.functions.saddle import Saddle


@cache
def examples() -> ArrayDataset:
    """40 images of 1 x 2 x 3 in 3 classes that overlap."""
    random = np.random.default_rng(0)
    labels = np.arange(40) % 3
    images = random.normal(size=(40, 1, 2, 3)) + labels[:, None, None, None] * 0.3
    all_of_them = Examples(images.astype(np.float32), labels)
    return ArrayDataset("made up", all_of_them, all_of_them, 3, [0.0], [1.0])


Make = Callable[[], Function]

FUNCTIONS: dict[str, list[Make]] = {
    "quadratic": [
        Quadratic,
        lambda: Quadratic(dim=7, spectrum="linear", condition=1e4, rotation=3),
    ],
    "quadratic_deep": [lambda: NoisyHessian(hessian=hessian(12), dim=12)],
    "noisy_quadratic": [lambda: NoisyQuadratic(dim=5)],
    "nesterov_worst": [lambda: NesterovWorst(dim=9, smoothness=3.0)],
    "rosenbrock": [Rosenbrock, lambda: Rosenbrock(dim=7)],
    "beale": [Beale],
    "himmelblau": [Himmelblau],
    "rastrigin": [Rastrigin, lambda: Rastrigin(dim=5)],
    "ackley": [Ackley, lambda: Ackley(dim=5)],
    "styblinski_tang": [StyblinskiTang, lambda: StyblinskiTang(dim=5)],
    "double_well": [DoubleWell, lambda: DoubleWell(depth=3.0, left=0.5, right=2.0)],
    "saddle": [Saddle, lambda: Saddle(dim=5, down=3)],
    "reddi": [Reddi, lambda: Reddi(dim=3)],
    "onemax": [OneMax, lambda: OneMax(dim=5)],
    "knapsack": [Knapsack, lambda: Knapsack(dim=7, seed=1)],
    "logistic_regression": [lambda: LogisticRegression(examples=examples(), dim=21)],
}
"""Each one's usual settings, and some others."""

ALL = [(name, make) for name, makes in FUNCTIONS.items() for make in makes]
NAMED = {"argvalues": ALL, "ids": [f"{name}-{number}" for number, (name, _) in enumerate(ALL)]}

DISCRETE = ("onemax", "knapsack")
"""Without a slope: their values at any point are those of the bits there."""
ROUGH = (*DISCRETE, "reddi")
"""Those, and one whose minimum is a corner of a box."""
SMOOTH = {
    "argvalues": [each for each in ALL if each[0] not in ROUGH],
    "ids": [label for label in NAMED["ids"] if str(label).rpartition("-")[0] not in ROUGH],
}
