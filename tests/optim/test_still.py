"""A group whose lr is 0 stays where it is, in every optimizer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.assemble.decay import set_decay
from optbench.assemble.optimizer import build_optimizer
from optbench.optim.wrappers.lookahead import Lookahead
from optbench.optim.wrappers.sam import SAM

from .population import POPULATION
from .problem import CPU, YAMLS, network, node_of, walk
from .second_order_references import SECOND_ORDER

NAMES = sorted(path.stem for path in YAMLS.glob("*.yaml"))
ONE_GROUP = {"lbfgs", *SECOND_ORDER}
"""Those that take no groups."""
NO_GROUPS = {*ONE_GROUP, "progressive", *POPULATION}
"""One because its stages have them, others because they have no lr that could be 0."""
ZOO = ("adafactor", "asgd", "ftrl", "gravity", "nero", "srmm")
"""Some whose steps are no multiples of lr, or that divide by it."""
STILL = {"params": "blocks.*", "lr": 0.0}


def moved(node: dict[str, Any], steps: int = 4, decay: str = "own", around: Any = None) -> Any:
    """By how much the blocks and the head move."""
    module = network(torch.float32)
    before = [p.detach().clone() for p in module.parameters()]
    optimizer = build_optimizer(node, module, CPU, run={"num_iterations": 9}).optimizer
    optimizer = optimizer if around is None else around(optimizer)
    set_decay(optimizer, decay)
    walk(module, optimizer, steps)
    return _distances(module, before)


def _distances(module: nn.Module, before: list[Tensor]) -> tuple[float, float]:
    pairs = zip(module.named_parameters(), before, strict=True)
    by = {name: float((p.detach() - old).abs().max()) for (name, p), old in pairs}
    blocks = max(value for name, value in by.items() if name.startswith("blocks"))
    return blocks, max(value for name, value in by.items() if name.startswith("head"))


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NO_GROUPS])
def test_a_group_stays_and_the_others_move(name: str) -> None:
    blocks, head = moved(node_of(name, groups=[STILL]))
    assert blocks == 0.0 and head > 0.0


@pytest.mark.parametrize("name", ["sgd", "adamw", "lion", "lamb", "adabound", "amsbound", "zoo"])
@pytest.mark.parametrize("decay", ["own", "coupled", "decoupled", "independent"])
def test_weight_decay_does_not_move_it_either(name: str, decay: str) -> None:
    node = node_of(name, groups=[STILL], weight_decay=0.1)
    blocks, head = moved(node, decay=decay)
    assert blocks == 0.0 and head > 0.0


@pytest.mark.parametrize("name", ZOO)
def test_of_a_librarys_too(name: str) -> None:
    node = {**node_of("zoo"), "name": name, "arguments": None}
    blocks, head = moved({**node, "groups": [STILL]})
    assert blocks == 0.0 and head > 0.0
    assert moved({**node, "lr": 0.0}) == (0.0, 0.0)


@pytest.mark.parametrize("name", sorted(ONE_GROUP))
def test_one_that_takes_no_groups(name: str) -> None:
    assert moved(node_of(name, lr=0.0)) == (0.0, 0.0)


@pytest.mark.parametrize("around", [Lookahead, SAM])
def test_inside_another(around: Any) -> None:
    blocks, head = moved(node_of("rprop", groups=[STILL]), 8, around=around)
    assert blocks == 0.0 and head > 0.0


@pytest.mark.parametrize("name", ["adabound", "amsbound", "rprop", "adamw", "zoo"])
def test_while_a_schedule_is_at_zero(name: str) -> None:
    module = network(torch.float32)
    optimizer = build_optimizer(node_of(name), module, CPU).optimizer
    own = [group["lr"] for group in optimizer.param_groups]
    for factor in (1.0, 0.0, 1.0):
        for group, lr in zip(optimizer.param_groups, own, strict=True):
            group["lr"] = factor * lr
        before = [p.detach().clone() for p in module.parameters()]
        walk(module, optimizer, 1)
        assert (max(_distances(module, before)) > 0.0) == (factor > 0.0)
    assert [group["lr"] for group in optimizer.param_groups] == own


def test_the_bounds_of_a_group_that_was_made_with_zero_open_with_its_lr() -> None:
    weight = nn.Parameter(torch.ones(1))
    node = {**node_of("adabound"), "lr": 0.0}
    module = nn.Module()
    module.weight = weight
    optimizer = build_optimizer(node, module, CPU).optimizer
    optimizer.param_groups[0]["lr"] = 0.001
    weight.grad = torch.ones(1)
    optimizer.step()
    assert float(weight.detach()) < 1.0


@pytest.mark.parametrize("name", ["lbfgs", "rprop"])
def test_a_step_that_raises_leaves_nothing_behind(name: str) -> None:
    module = network(torch.float32)
    optimizer = build_optimizer(node_of(name, lr=0.0), module, CPU).optimizer
    before = [p.detach().clone() for p in module.parameters()]

    def closure() -> Tensor:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter += 1.0
        raise FloatingPointError

    for _ in range(2):
        with pytest.raises(FloatingPointError):
            optimizer.step(closure)  # type: ignore[arg-type]
        assert optimizer.param_groups[0]["lr"] == 0.0
        assert _distances(module, before) == (0.0, 0.0)
