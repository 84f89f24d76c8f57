"""Our own optimizers against slow transcriptions and other libraries, on several problems.

A row: the transcription, the settings it is tried with besides the defaults, and how far (relative)
the two may part over 50 steps in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import pytorch_optimizer
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.build.create import locate
from optbench.optim.engine.rule_optimizer import RuleOptimizer

from . import references
from .problem import SHARED, YAMLS, data, network, node_of
from .references import Slow, Update

Loss = Callable[[], Tensor]
Problem = Callable[[torch.dtype], tuple[list[nn.Parameter], Loss]]
DECAYED = {"weight_decay": 0.1}
STEPS = 50
BASE_LR = 0.01
"""The lr that every trajectory starts from, before a schedule."""
EXACT, ADAPTIVE = 1e-13, 1e-9
"""Dividing by the root of small squares makes a rounding error grow."""


@dataclass(frozen=True)
class Row:
    """See the top of the file."""

    update: Update
    variants: Sequence[dict[str, Any]] = ()
    tolerance: float = ADAPTIVE
    look_ahead: bool = False


ROWS = {
    "heavy_ball": Row(references.heavy_ball, [{"momentum": 0.99}], tolerance=EXACT),
    "momentum": Row(references.momentum, [{"momentum": 0.5}, {"momentum": 0.0}], tolerance=EXACT),
    "nag": Row(references.momentum, [{"momentum": 0.5}], look_ahead=True, tolerance=EXACT),
    "adagrad_eps_inside": Row(
        references.adagrad_eps_inside, [{"initial_accumulator_value": 0.1}, {"eps": 1e-4}]
    ),
    "rmsprop_eps_inside": Row(references.rmsprop_eps_inside, [{"alpha": 0.99}, {"eps": 1e-4}]),
    "amsgrad": Row(references.amsgrad, [{"betas": [0.5, 0.9]}, {"eps": 1e-4}]),
    "adabound": Row(references.adabound, [{"final_lr": 1.0, "gamma": 0.1}, {"eps": 1e-4}]),
    "amsbound": Row(references.amsbound, [{"final_lr": 1.0, "gamma": 0.1}]),
    "lion": Row(references.lion, [{"betas": [0.5, 0.9]}], tolerance=EXACT),
    "adabelief": Row(references.adabelief, [{"betas": [0.5, 0.9]}, {"eps": 1e-6}]),
    "adan": Row(references.adan, [{"betas": [0.5, 0.8, 0.9]}, {"eps": 1e-4}]),
    "lamb": Row(references.lamb, [{"betas": [0.5, 0.9]}, {"eps": 1e-2}]),
    "lars": Row(references.lars, [{"momentum": 0.5}, {"trust_coefficient": 0.1}], tolerance=EXACT),
}
CASES = [
    pytest.param(name, changes, id=f"{name} {changes or ''}")
    for name, row in ROWS.items()
    for changes in ({}, DECAYED, *row.variants)
]


def classification(dtype: torch.dtype) -> tuple[list[nn.Parameter], Loss]:
    """The network of the other tests."""
    module = network(dtype)
    inputs, targets = data(dtype)
    return list(module.parameters()), lambda: cross_entropy(module(inputs), targets)


def quadratic(dtype: torch.dtype) -> tuple[list[nn.Parameter], Loss]:
    """A matrix and a vector under a quadratic of condition number 100."""
    spectrum = torch.logspace(-2, 0, 6, dtype=dtype)
    weights = [nn.Parameter(torch.ones(4, 6, dtype=dtype)), nn.Parameter(spectrum.clone())]
    return weights, lambda: sum((spectrum * w * w).sum() for w in weights) / 2  # type: ignore[return-value]


def rosenbrock(dtype: torch.dtype) -> tuple[list[nn.Parameter], Loss]:
    """Rosenbrock's valley, scaled so that SGD's steps stay in it."""
    point = nn.Parameter(torch.tensor([-1.2, 1.0], dtype=dtype))
    return [point], lambda: ((1 - point[0]) ** 2 + 100 * (point[1] - point[0] ** 2) ** 2) / 100


PROBLEMS: dict[str, Problem] = {
    "classification": classification,
    "quadratic": quadratic,
    "rosenbrock": rosenbrock,
}


def ours(name: str, parameters: Any, implementation: str = "foreach", **changes: Any) -> Any:
    """A YAML's class with the YAML's settings, but for the lr that all start from."""
    node = {**node_of(name), "lr": BASE_LR, **changes}
    cls = locate(node["_target_"], "")
    keys = [k for k in node if not k.startswith("_")]
    keys = [k for k in keys if k not in SHARED]
    return cls(parameters, implementation=implementation, **{k: node[k] for k in keys})


def path(
    optimizer: Any,
    parameters: Sequence[nn.Parameter],
    loss: Loss,
    steps: int = STEPS,
    scheduled: bool = True,
    shift: Callable[[], Sequence[Tensor]] | None = None,
) -> Tensor:
    """The weights after each step, [steps, n]; the lr falls on the way."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    found = []
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = BASE_LR * (1 - step / 100 if scheduled else 1)
        if shift is not None:
            away(parameters, shift(), -1)
            closure()
            away(parameters, shift(), 1)
            optimizer.step()
        else:
            optimizer.step(closure)
        found.append(nn.utils.parameters_to_vector(parameters).detach().clone())
    return torch.stack(found)


@torch.no_grad()
def away(parameters: Sequence[nn.Parameter], by: Sequence[Tensor], sign: int) -> None:
    for parameter, shift in zip(parameters, by, strict=True):
        parameter.add_(shift, alpha=sign)


def slow_path(name: str, problem: Problem, **changes: Any) -> Tensor:
    """The transcription's."""
    row = ROWS[name]
    parameters, loss = problem(torch.float64)
    node = {k: v for k, v in node_of(name).items() if not k.startswith("_")}
    for key in SHARED:
        node.pop(key)
    slow = Slow(row.update, parameters, **{**node, **changes, "lr": BASE_LR})

    def velocities() -> list[Tensor]:
        gamma = slow.settings["momentum"]
        return [gamma * s.get("v", torch.zeros(1)) for s in slow.states]

    class Called:
        param_groups, zero_grad = slow.param_groups, staticmethod(slow.zero_grad)

        @staticmethod
        def step(closure: Callable[[], Any] | None = None) -> None:
            if closure is not None:
                closure()
            slow.step()

    return path(Called, parameters, loss, shift=velocities if row.look_ahead else None)


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
    assert rules - {"sophia"} == set(ROWS)  # sophia: test_sophia.py


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
    assert float(loss()) < 0.5 * before


@pytest.mark.parametrize("name", ROWS)
def test_maximize_climbs_as_it_would_descend(name: str) -> None:
    ends = []
    for sign in (1, -1):
        parameters, loss = quadratic(torch.float64)
        made = ours(name, parameters, maximize=sign < 0)
        ends.append(path(made, parameters, lambda loss=loss, s=sign: s * loss())[-1])  # type: ignore[misc]
    assert torch.allclose(*ends, rtol=1e-12)
