"""optbench.runs.collector."""

from __future__ import annotations

import gc

from optbench.runs.collector import at_rest, at_work


def test_rests_then_works_then_is_as_before() -> None:
    assert gc.isenabled()
    with at_rest():
        assert not gc.isenabled()
        with at_work():
            assert gc.isenabled()
            assert gc.get_freeze_count() > 0
        assert gc.get_freeze_count() == 0
        with at_work():  # the second run of a sweep
            assert gc.get_freeze_count() == 0
    assert gc.isenabled()


def test_is_as_before_after_an_error_too() -> None:
    try:
        with at_rest():
            raise ValueError
    except ValueError:
        pass
    assert gc.isenabled()
    gc.disable()
    try:
        with at_rest():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
