"""optbench.optim.needs: what is known of an optimizer, whoever wrote it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from optbench.assemble.optimizer import build_optimizer
from optbench.assemble.zoo import needs_in_words
from optbench.config.zoo import FROM_THE_RUN, zoo
from optbench.optim.combined import Combined
from optbench.optim.first_order.nag import NAG
from optbench.optim.needs import Needs, needs_of
from optbench.optim.second_order.sophia import Sophia
from optbench.optim.wrappers.lookahead import Lookahead
from optbench.optim.wrappers.sam import SAM

from .problem import node_of


def weights() -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(3))]


def sgd() -> torch.optim.Optimizer:
    return torch.optim.SGD(weights())


@pytest.mark.parametrize(
    ("make", "needs"),
    [
        (sgd, Needs()),
        (lambda: NAG(weights()), Needs(objective="once")),
        (lambda: Sophia(weights()), Needs(objective="once", hvp=True)),
        (lambda: torch.optim.LBFGS(weights()), Needs(objective="many", divides_by_lr=True)),
        (lambda: SAM(sgd()), Needs(objective="many")),
        (lambda: SAM(Sophia(weights())), Needs(objective="many", hvp=True)),
        (lambda: Lookahead(sgd()), Needs()),
        (lambda: Lookahead(Sophia(weights())), Needs(objective="once", hvp=True)),
        (lambda: Combined([sgd(), sgd()]), Needs()),
    ],
)
def test_what_optimizers_need(make: Any, needs: Needs) -> None:
    assert needs_of(make()) == needs


def test_several_need_what_each_of_them_needs() -> None:
    one, other = sgd(), sgd()
    one.needs = Needs(create_graph=True)  # type: ignore[attr-defined]
    other.needs = Needs(lr=False, divides_by_lr=True)  # type: ignore[attr-defined]
    expected = Needs(create_graph=True, lr=False, divides_by_lr=True)
    assert needs_of(Combined([one, other])) == expected


class WithoutLr(torch.optim.Optimizer):
    """A user's, which says what it needs and has no learning rate."""

    needs = Needs(objective="once", hvp=True)

    def __init__(self, params: Any) -> None:
        super().__init__(params, {})


def test_what_an_own_class_says_holds_beside_what_its_signature_tells() -> None:
    node = node_of("custom", _target_=f"{__name__}.WithoutLr", arguments={})
    optimizer = build_optimizer(node, nn.Linear(2, 2), torch.device("cpu")).optimizer
    assert needs_of(optimizer) == Needs(objective="once", hvp=True, lr=False)


def test_an_optimizer_may_have_needs_of_another_meaning() -> None:
    class Other(torch.optim.SGD):
        needs = ("tea",)

        def step(self, closure: Any) -> None:  # type: ignore[override]
            closure()

    assert needs_of(Other(weights())) == Needs(objective="many")


def test_the_words_of_the_zoos_table() -> None:
    assert needs_in_words([]) == Needs()
    assert needs_in_words(["closure", "no_lr"]) == Needs(objective="many", lr=False)
    both = Needs(create_graph=True, divides_by_lr=True)
    assert needs_in_words(["create_graph", "divides_by_lr", *FROM_THE_RUN]) == both
    assert {word for entry in zoo().values() for word in entry.needs} >= {"closure", "no_lr"}
