"""optbench.training.position"""

from __future__ import annotations

import pytest

from optbench.training.position import Progress


@pytest.mark.parametrize("value", ["a", 0.5, -1, None, 10**400, True])
def test_a_position_is_whole_numbers(value: object) -> None:
    state = Progress(step=3).state_dict()
    Progress().load_state_dict(state)
    with pytest.raises(ValueError, match=r"progress\.index"):
        Progress().load_state_dict(state | {"index": value})
    if value is not True:
        with pytest.raises(ValueError, match=r"progress\.counted"):
            Progress().load_state_dict(state | {"counted": value})
    if value != 0.5:
        with pytest.raises(ValueError, match=r"progress\.optimizer_seconds"):
            Progress().load_state_dict(state | {"optimizer_seconds": value})
