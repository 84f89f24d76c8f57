"""Our own optimizers against slow transcriptions and other libraries, on several problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import pytorch_optimizer
import torch
from torch import Tensor

from optbench.assemble.create import locate
from optbench.optim.engine.rule_optimizer import RuleOptimizer

from .problem import YAMLS, node_of
from .rules import (
    ADAPTIVE,
    BASE_LR,
    DECAYED,
    PROBLEMS,
    ROWS,
    classification,
    ours,
    path,
    quadratic,
    slow_path,
)

CASES = [
    pytest.param(name, changes, id=f"{name} {changes or ''}")
    for name, row in ROWS.items()
    for changes in ({}, DECAYED, *row.variants)
]


def test_every_rule_has_a_row() -> None:
    made = {
        path.stem
        for path in YAMLS.glob("*.yaml")
        if node_of(path.stem)["_target_"].startswith("optbench.optim.")
    }
    rules = {
        name
        for name in made
        if isinstance(locate(node_of(name)["_target_"], ""), type)
        and issubclass(locate(node_of(name)["_target_"], ""), RuleOptimizer)
    }
    assert rules - {"sophia", "custom"} == set(ROWS)  # these: test_optimizers.py


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(("name", "changes"), CASES)
def test_it_follows_its_transcription(name: str, changes: dict[str, Any], problem: str) -> None:
    parameters, loss = PROBLEMS[problem](torch.float64)
    found = path(ours(name, parameters, **changes), parameters, loss)
    expected = slow_path(name, PROBLEMS[problem], **changes)
    assert found[-1].isfinite().all() and torch.dist(found[0], found[-1]) > 1e-6
    assert torch.dist(found, expected) <= ROWS[name].tolerance * expected.norm()


def constant(cls: Any, **settings: Any) -> Callable[[Any], Any]:
    """A library's optimizer."""
    return lambda parameters: cls(parameters, lr=BASE_LR, **settings)


THEIRS: dict[str, tuple[dict[str, Any], Callable[[Any], Any], float]] = {
    "heavy_ball": ({}, constant(torch.optim.SGD, momentum=0.9), 1e-13),
    "momentum": (DECAYED, constant(torch.optim.SGD, momentum=0.9, weight_decay=0.1), 1e-13),
    "adagrad_eps_inside": ({"eps": 0.0}, constant(torch.optim.Adagrad, eps=0.0), 1e-13),
    "rmsprop_eps_inside": (
        {"eps": 0.0, "alpha": 0.99},
        constant(torch.optim.RMSprop, eps=0.0, alpha=0.99),
        ADAPTIVE,
    ),
    # pytorch-optimizer's adds 1e-15 inside the root.
    "adabound": ({}, constant(pytorch_optimizer.AdaBound), 1e-6),
    "amsbound": ({}, constant(pytorch_optimizer.AdaBound, ams_bound=True), 1e-6),
    "lion": (DECAYED, constant(pytorch_optimizer.Lion, weight_decay=0.1), 1e-13),
    "adabelief": (DECAYED, constant(pytorch_optimizer.AdaBelief, weight_decay=0.1), ADAPTIVE),
    "adan": (
        DECAYED,
        constant(pytorch_optimizer.Adan, weight_decay=0.1, weight_decouple=False),
        ADAPTIVE,
    ),
    "lars": ({}, constant(pytorch_optimizer.LARS, trust_coefficient=1e-2), 1e-13),
}
"""Libraries' at a constant lr, where they have the same algorithm: settings of ours, and theirs."""


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", THEIRS)
def test_it_equals_another_librarys(name: str, problem: str) -> None:
    changes, theirs, tolerance = THEIRS[name]
    paths = []
    for make in (lambda p: ours(name, p, **changes), theirs):
        parameters, loss = PROBLEMS[problem](torch.float64)
        paths.append(path(make(parameters), parameters, loss, scheduled=False))
    assert torch.dist(*paths) <= tolerance * paths[1].norm()


@pytest.mark.parametrize("name", ROWS)
def test_its_settings_change_its_path(name: str) -> None:
    def end(**changes: Any) -> Tensor:
        parameters, loss = classification(torch.float64)
        return path(ours(name, parameters, **changes), parameters, loss)

    plain = end()
    for changes in (DECAYED, *ROWS[name].variants):
        assert torch.dist(end(**changes), plain) > 1e-7, changes
    assert torch.equal(end(maximize=False), plain)


@pytest.mark.parametrize("name", ROWS)
def test_the_lr_that_is_set_is_the_lr_that_is_used(name: str) -> None:
    ends = []
    for scheduled in (False, True):
        parameters, loss = classification(torch.float64)
        ends.append(path(ours(name, parameters), parameters, loss, scheduled=scheduled)[-1])
    assert torch.dist(*ends) > 1e-6


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("changes", [{}, DECAYED], ids=str)
def test_the_loop_and_foreach_walk_alike(name: str, changes: dict[str, Any]) -> None:
    paths = []
    for implementation in ("loop", "foreach"):
        parameters, loss = classification(torch.float64)
        made = ours(name, parameters, implementation, **changes)
        paths.append(path(made, parameters, loss))
    assert torch.dist(*paths) <= 1e-12 * paths[0].norm()


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_compiled_walks_alike(name: str, dtype: torch.dtype) -> None:
    paths = []
    for implementation in ("loop", "compiled"):
        parameters, loss = quadratic(dtype)
        made = ours(name, parameters, implementation, weight_decay=0.1)
        paths.append(path(made, parameters, loss, steps=20).double())
    tolerance = 1e-10 if dtype == torch.float64 else 2e-2
    assert torch.dist(*paths) <= tolerance * paths[0].norm()


@pytest.mark.parametrize("problem", ["quadratic", "rosenbrock"])
@pytest.mark.parametrize("name", ROWS)
def test_it_converges(name: str, problem: str) -> None:
    parameters, loss = PROBLEMS[problem](torch.float64)
    optimizer = ours(name, parameters)
    before = float(loss().detach())
    for _ in range(600):
        for group in optimizer.param_groups:
            group["lr"] = 0.05

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        optimizer.step(closure)
    assert float(loss().detach()) < 0.5 * before


@pytest.mark.parametrize("name", ROWS)
def test_maximize_climbs_as_it_would_descend(name: str) -> None:
    ends = []
    for sign in (1, -1):
        parameters, loss = quadratic(torch.float64)
        made = ours(name, parameters, maximize=sign < 0)
        ends.append(path(made, parameters, lambda loss=loss, s=sign: s * loss())[-1])  # type: ignore[misc]
    assert torch.allclose(*ends, rtol=1e-12)
