"""Without scipy: what needs it says so, and what does not goes on."""

import sys

import pytest

from optbench.errors import UserError
from optbench.statistics import compare_all, failure_rate, kaplan_meier, sentences, t_interval


@pytest.fixture(autouse=True)
def no_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.delitem(sys.modules, "scipy.stats", raising=False)


def test_what_needs_scipy_says_how_to_install_it() -> None:
    for ask in (
        lambda: t_interval([1.0, 2.0]),
        lambda: failure_rate(1, 2),
        lambda: kaplan_meier([1.0], [True]),
        lambda: compare_all({"a": {0: 1.0, 1: 2.0}, "b": {0: 0.0, 1: 0.0}}, higher_is_better=True),
    ):
        with pytest.raises(UserError) as told:
            ask()
        assert str(told.value).endswith("pip install 'optbench[compare]'")
        assert "\n" not in str(told.value)


def test_a_verdict_on_enough_pairs_does_without() -> None:
    runs = {"a": {s: s + 1.0 for s in range(8)}, "b": {s: 0.5 * s for s in range(8)}}
    assert sentences(compare_all(runs, higher_is_better=True))[0] == "a is the best of 2 optimizers"
