"""optbench.training.sharing: jobs by cost among ranks."""

from __future__ import annotations

import pytest

from optbench.training.sharing import shared


@pytest.mark.parametrize(
    ("costs", "ranks", "owners"),
    [
        ([], 2, []),
        ([3.0], 2, [0]),
        ([1, 5, 3, 3], 2, [0, 0, 1, 1]),
        ([8, 7, 6, 5, 4], 2, [0, 1, 1, 0, 0]),
        ([2, 2, 2], 1, [0, 0, 0]),
    ],
)
def test_the_dearest_first_to_whoever_has_least(
    costs: list[float], ranks: int, owners: list[int]
) -> None:
    assert shared(costs, ranks) == owners
