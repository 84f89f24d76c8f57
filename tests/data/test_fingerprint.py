"""optbench.data.fingerprint"""

import numpy as np
import pytest

from optbench.data.fingerprint import WHOLE, fingerprint


def test_it_follows_from_types_shapes_and_bytes() -> None:
    array = np.arange(6, dtype=np.uint8)
    others = [array.reshape(2, 3), array.astype(np.int8), array[::-1], array[:5]]
    found = {fingerprint(one) for one in [array, array.copy(), *others]}
    assert len(found) == 5
    assert fingerprint(array, array[:0]) != fingerprint(array)
    assert len(found.pop()) == 32


@pytest.mark.parametrize("place", [0, WHOLE * 2 - 1])
def test_of_a_long_array_pieces_count(place: int) -> None:
    array = np.zeros(WHOLE * 2, np.uint8)
    before = fingerprint(array)
    array[place] = 1
    assert fingerprint(array) != before
