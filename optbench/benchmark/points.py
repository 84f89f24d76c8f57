"""The same quasi-random places of the unit cube for all optimizers, so that budgets are equal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from optbench.assemble.create import need
from optbench.search.space import Space

DIMENSIONS = 16
"""Of the sequence, of which a space takes the first; a larger space has one of its own."""
SEED = 20261129
"""Of the scrambling: the sequence is the same for everybody."""


def points(many: int, dimensions: int) -> list[list[float]]:
    """Return the first points of Sobol's sequence, scrambled; more of them begin with the same.

    References:
        Sobol 1967; Owen, Scrambling Sobol' and Niederreiter-Xing points, 1998.
    """
    if not many:
        return []
    need("scipy", "compare", "benchmark")
    from scipy.stats import qmc

    cube = qmc.Sobol(d=max(DIMENSIONS, dimensions), scramble=True, rng=SEED)
    drawn = cube.random_base2(math.ceil(math.log2(many)))
    return [[float(place) for place in row[:dimensions]] for row in drawn[:many]]


def values_of(space: Space, trials: int) -> list[Mapping[str, Any]]:
    """Return the values of each trial by key: the first has none, the optimizer's defaults."""
    drawn = points(trials - 1, len(space.keys))
    return [
        {},
        *(
            {key: each.value(u) for (key, each), u in zip(space.keys.items(), row, strict=True)}
            for row in drawn
        ),
    ]
