"""Chains; that they equal SequentialLR is in test_schedules_equal_torch.py."""

import pytest

from optbench.schedules.base import Update, has_state, is_reactive, watches_updates
from optbench.schedules.chain import Chain, Part
from optbench.schedules.constant import Constant
from optbench.schedules.cosine import Cosine
from optbench.schedules.hypergradient import Hypergradient
from optbench.schedules.one_cycle import OneCycle
from optbench.schedules.plateau import Plateau
from optbench.schedules.warmup import Warmup


def cutting() -> Plateau:
    return Plateau(metric="val/loss", factor=0.5, patience=0)


def test_each_part_counts_its_own_steps_and_length() -> None:
    chain = Chain([Part(Cosine(), 10), Part(Cosine(), 20, scale=0.5), Part(Cosine())])
    assert [chain(step, 100) for step in (0, 10, 30)] == [1.0, 0.5, 1.0]
    assert chain(5, 100) == Cosine()(5, 10)
    assert chain(25, 100) == 0.5 * Cosine()(15, 20)
    assert chain(65, 100) == Cosine()(35, 70)


def test_the_momentum_is_the_present_parts() -> None:
    chain = Chain([Part(OneCycle(), 10), Part(Constant())])
    assert chain.momentum(0, 20) == OneCycle().momentum(0, 10) != None  # noqa: E711
    assert chain.momentum(10, 20) is None


def test_a_chain_of_pure_schedules_is_pure() -> None:
    chain = Chain([Part(Constant(), 10), Part(Cosine())])
    assert not is_reactive(chain) and not watches_updates(chain) and not has_state(chain)


def test_only_the_present_part_observes() -> None:
    chain = Chain([Part(Constant(), 10), Part(cutting(), 10), Part(cutting())])
    assert is_reactive(chain) and has_state(chain)
    chain(3, 40)
    for _ in range(3):
        chain.observe({"val/loss": 1.0})
    assert chain(12, 40) == 1.0
    chain.observe({"val/loss": 1.0})
    chain.observe({"val/loss": 1.0})
    assert chain(13, 40) == 0.5
    assert chain(20, 40) == 1.0, "the last part saw nothing"


def test_updates_reach_a_part_inside_a_warmup() -> None:
    chain = Chain([Part(Constant(), 2), Part(Warmup(Hypergradient(), 0))])
    assert watches_updates(chain) and not is_reactive(chain)
    seen = Update(1.0, 1.0, 1.0, 0.1, 0.1)
    chain(0, 10)
    chain.observe_update(seen)
    assert chain(5, 10) == 1.0
    chain.observe_update(seen)
    assert chain(5, 10) == 1.5


def test_its_state_goes_on() -> None:
    whole, other = (Chain([Part(cutting(), 10), Part(cutting())]) for _ in range(2))
    for step, chain in ((3, whole), (12, whole)):
        chain(step, 40)
        chain.observe({"val/loss": 1.0})
        chain.observe({"val/loss": 1.0})
    other.load_state_dict(whole.state_dict())
    assert [other(s, 40) for s in (3, 12)] == [whole(s, 40) for s in (3, 12)] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ([], "parts must name at least one schedule, got none"),
        ([Part(Constant()), Part(Constant())], r"parts\[0\] must say for how long"),
        ([Part(Constant(), 5)], r"parts\[0\] takes what is left, got 5"),
    ],
)
def test_parts_that_make_no_chain(parts: list[Part], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Chain(parts)


def test_a_part_out_of_range() -> None:
    with pytest.raises(ValueError, match="for must be an integer >= 1, got 0"):
        Part(Constant(), 0)
    with pytest.raises(ValueError, match=r"scale must be a number in \[0, inf\), got -1"):
        Part(Constant(), 5, -1)
