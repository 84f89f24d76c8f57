"""Every optimizer that can be chosen equals the plain one of torch, and resumes to the last bit.

A new YAML of torch's or a library's needs a row here; those of rules are in rules.py.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.assemble.create import locate
from optbench.assemble.optimizer import build_optimizer
from optbench.optim.exact_state import exact_state, load_exactly
from optbench.optim.groups import hidden_matrices

from .kfac.by_hand import EKFACByHand, KFACByHand
from .learned_references import LearnedByHand
from .library_references import LIBRARIES
from .population import POPULATION
from .problem import (
    CPU,
    SHARED,
    YAMLS,
    Make,
    built,
    data,
    network,
    node_of,
    staged,
    trajectory,
    walk,
)
from .references import Slow
from .rules import ROWS as RULES
from .rules import away
from .second_order_references import SECOND_ORDER

BETAS = (0.9, 0.999)


def plain(cls: Any, **settings: Any) -> Make:
    """torch's own class, by its plain loop, over all parameters."""
    if "foreach" in inspect.signature(cls).parameters:
        settings["foreach"] = False
    return lambda module: cls(module.parameters(), **settings)


class SparseAdamByHand(torch.optim.SparseAdam):
    """Gets gradients without their zeros."""

    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = parameter.grad.to_sparse()
        return super().step(closure)  # type: ignore[arg-type]


class MuonByHand:
    """Muon for the hidden matrices, AdamW for the rest."""

    def __init__(self, module: nn.Module) -> None:
        named = dict(module.named_parameters())
        matrices = hidden_matrices(module)
        assert matrices == {"blocks.0.0.weight", "blocks.1.0.weight"}
        self.muon = torch.optim.Muon(
            [named[name] for name in named if name in matrices],
            lr=1e-3,
            weight_decay=0.1,
            momentum=0.95,
            nesterov=True,
            ns_steps=5,
            adjust_lr_fn="match_rms_adamw",
        )
        rest = [named[name] for name in named if name not in matrices]
        self.adamw = torch.optim.AdamW(rest, lr=1e-3, betas=BETAS, eps=1e-8, weight_decay=1e-2)

    def zero_grad(self) -> None:
        self.muon.zero_grad()
        self.adamw.zero_grad()

    def step(self) -> None:
        self.muon.step()
        self.adamw.step()


def muon_by_hand(module: nn.Module) -> torch.optim.Optimizer:
    made: Any = MuonByHand(module)
    return made  # type: ignore[no-any-return]


class LookAhead(Slow):
    """Optimization Algorithms, 3.2: the gradient is taken where the velocity leads."""

    def step(self, closure: Callable[[], Any]) -> None:  # type: ignore[override]
        gamma = self.settings["momentum"]
        ahead = [gamma * s.get("v", torch.zeros(())) for s in self.states]
        away(self.param_groups[0]["params"], ahead, -1)
        closure()
        away(self.param_groups[0]["params"], ahead, 1)
        super().step()


class SophiaByHand(Slow):
    """Liu et al. 2023, algorithm 3, with the same draws."""

    def step(self, closure: Any) -> None:  # type: ignore[override]
        closure()
        weights = self.param_groups[0]["params"]
        if self.t % 10 == 0:
            generator = torch.Generator().manual_seed(self.t)
            draws = [torch.randn(w.shape, generator=generator, dtype=w.dtype) for w in weights]
            for s, u, hu in zip(self.states, draws, closure.hvp(weights, draws), strict=True):
                s["h"] = 0.99 * s.get("h", 0) + (1 - 0.99) * u * hu
        super().step()


def sophia_update(theta: Tensor, g: Tensor, s: Any, t: int, lr: float, **_: Any) -> Tensor:
    s["m"] = 0.96 * s.get("m", 0) + (1 - 0.96) * g
    bound = torch.clamp(0.01 * s["h"], min=1e-12)
    return theta - lr * torch.clamp(s["m"] / bound, -1, 1)


class AdamThenSGD:
    """The stages of problem.py: SGD goes on with the mean gradient that Adam's momentum is."""

    def __init__(self, module: nn.Module) -> None:
        self.weights = list(module.parameters())
        self.adam = torch.optim.Adam(self.weights, lr=1e-3, foreach=False)
        self.sgd = torch.optim.SGD(self.weights, lr=0.1, momentum=0.9, foreach=False)
        self.t = 0

    def zero_grad(self) -> None:
        self.sgd.zero_grad()

    def step(self) -> None:
        if self.t == 4:
            for weight in self.weights:
                mean = self.adam.state[weight]["exp_avg"] / (1 - 0.9**4)
                self.sgd.state[weight]["momentum_buffer"] = mean / (1 - 0.9)
        (self.adam if self.t < 4 else self.sgd).step()
        self.t += 1


def adam_then_sgd(module: nn.Module) -> torch.optim.Optimizer:
    made: Any = AdamThenSGD(module)
    return made  # type: ignore[no-any-return]


def by_hand(name: str) -> Make:
    """The transcription with the YAML's settings."""
    node = {k: v for k, v in node_of(name).items() if not k.startswith("_") and k not in SHARED}
    update = sophia_update if name == "sophia" else RULES[name].update
    cls = LookAhead if name == "nag" else SophiaByHand if name == "sophia" else Slow

    def make(module: nn.Module) -> torch.optim.Optimizer:
        made: Any = cls(update, list(module.parameters()), **node)
        return made  # type: ignore[no-any-return]

    return make


ADAPTIVE = 1e-9
"""Relative: dividing by the root of small squares makes a rounding error grow."""

SOLVED = 1e-6
"""Relative: towards the end, where the loss of the small problem is all but 0, so is its matrix."""

FUSED = 1e-11
"""Relative: torch's fused kernels round in another order."""

ROWS: dict[str, tuple[Make, float]] = {
    "adadelta": (plain(torch.optim.Adadelta, lr=1.0, rho=0.9, eps=1e-6), 0),
    "adafactor": (
        plain(torch.optim.Adafactor, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0),
        0,
    ),
    "adagrad": (plain(torch.optim.Adagrad, lr=1e-2, eps=1e-10), FUSED),
    "adam": (plain(torch.optim.Adam, lr=1e-3, betas=BETAS, eps=1e-8), FUSED),
    "adamax": (plain(torch.optim.Adamax, lr=2e-3, betas=BETAS, eps=1e-8), 0),
    "adamw": (
        plain(torch.optim.AdamW, lr=1e-3, betas=BETAS, eps=1e-8, weight_decay=1e-2),
        FUSED,
    ),
    "asgd": (plain(torch.optim.ASGD, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6), 0),
    "kfac": (KFACByHand, ADAPTIVE),
    "ekfac": (EKFACByHand, ADAPTIVE),
    "lbfgs": (
        plain(
            torch.optim.LBFGS,
            lr=1.0,
            max_iter=5,
            tolerance_grad=1e-7,
            tolerance_change=1e-9,
            history_size=10,
            line_search_fn="strong_wolfe",
        ),
        0,
    ),
    "learned": (LearnedByHand, ADAPTIVE),
    "muon": (muon_by_hand, FUSED),
    "nadam": (plain(torch.optim.NAdam, lr=2e-3, betas=BETAS, eps=1e-8, momentum_decay=4e-3), 0),
    "progressive": (adam_then_sgd, FUSED),
    "radam": (plain(torch.optim.RAdam, lr=1e-3, betas=BETAS, eps=1e-8), 0),
    "rmsprop": (plain(torch.optim.RMSprop, lr=1e-3, alpha=0.99, eps=1e-8), 0),
    "rprop": (plain(torch.optim.Rprop, lr=1e-3, etas=(0.5, 1.2), step_sizes=(1e-6, 50)), 0),
    "sgd": (plain(torch.optim.SGD, lr=0.1), FUSED),
    "sparse_adam": (plain(SparseAdamByHand, lr=1e-3, betas=BETAS, eps=1e-8), 0),
}
ROWS |= {name: (make, ADAPTIVE) for name, make in LIBRARIES.items()}
ROWS |= {name: (by_hand(name), ADAPTIVE) for name in (*RULES, "sophia")}
ROWS |= {name: (make, SOLVED) for name, make in SECOND_ORDER.items()}
"""By YAML: torch's own with the same settings, and how far (relative) the two may part."""

# Settings that are off in the YAMLs: each has to reach torch.
MORE: list[tuple[str, dict[str, Any], Make, float]] = [
    (
        "sgd",
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        plain(torch.optim.SGD, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
        FUSED,
    ),
    (
        "sgd",
        {"momentum": 0.9, "dampening": 0.5},
        plain(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.5),
        FUSED,
    ),
    (
        "adam",
        {"amsgrad": True, "weight_decay": 0.1, "betas": [0.5, 0.9]},
        plain(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.9), amsgrad=True, weight_decay=0.1),
        FUSED,
    ),
    (
        "rmsprop",
        {"centered": True, "momentum": 0.5},
        plain(torch.optim.RMSprop, lr=1e-3, centered=True, momentum=0.5),
        0,
    ),
    (
        "nadam",
        {"decoupled_weight_decay": True, "weight_decay": 0.1},
        plain(torch.optim.NAdam, decoupled_weight_decay=True, weight_decay=0.1),
        0,
    ),
    (
        "lbfgs",
        {"line_search_fn": None, "lr": 0.1},
        plain(torch.optim.LBFGS, lr=0.1, max_iter=5, history_size=10),
        0,
    ),
]


def assert_near(one: Tensor, other: Tensor, tolerance: float) -> None:
    assert one[-1].isfinite().all()
    assert torch.dist(one, other) <= tolerance * other.norm()


def test_every_choice_has_a_row() -> None:
    assert {path.stem for path in YAMLS.glob("*.yaml")} == {*ROWS, *POPULATION}


@pytest.mark.parametrize("name", ROWS)
def test_it_equals_torchs_own(name: str) -> None:
    by_hand, tolerance = ROWS[name]
    assert_near(trajectory(built(name)), trajectory(by_hand), tolerance)


@pytest.mark.parametrize(
    ("name", "changes", "by_hand", "tolerance"), MORE, ids=[f"{m[0]} {m[1]}" for m in MORE]
)
def test_its_settings_reach_torch(
    name: str, changes: dict[str, Any], by_hand: Make, tolerance: float
) -> None:
    path = trajectory(built(name, **changes))
    assert_near(path, trajectory(by_hand), tolerance)
    assert torch.dist(path, trajectory(built(name))) > 1e-6


@pytest.mark.parametrize("name", ROWS)
def test_it_minimises(name: str) -> None:
    module = network()
    inputs, targets = data()
    before = cross_entropy(module(inputs), targets)
    walk(module, built(name)(module), 50)
    assert cross_entropy(module(inputs), targets) < before


def has_foreach(name: str) -> bool:
    cls = locate(node_of(name)["_target_"], "")
    return "foreach" in inspect.signature(cls).parameters


@pytest.mark.parametrize("name", [name for name in ROWS if has_foreach(name)])
@pytest.mark.parametrize("implementation", ["loop", "foreach"])
def test_every_implementation_walks_alike(name: str, implementation: str) -> None:
    # ASGD's step sizes are numbers of 32 bits, and foreach's are rounded another way.
    tolerance = 1e-8 if name == "asgd" else FUSED
    auto = trajectory(built(name))
    assert_near(trajectory(built(name, implementation=implementation)), auto, tolerance)


FUSES = {"sgd", "adam", "adamw", "adagrad"}


@pytest.mark.parametrize("name", ROWS)
def test_which_implementation_runs_by_itself(name: str) -> None:
    expected = "fused" if name in FUSES else "loop and fused" if name == "muon" else "loop"
    expected = "foreach" if hasattr(locate(node_of(name)["_target_"], ""), "rule") else expected
    expected = "its own" if name in LIBRARIES and name != "custom" else expected
    expected = "fused" if name == "progressive" else expected
    make = staged if name == "progressive" else partial(build_optimizer, node_of(name), device=CPU)
    assert make(network()).implementation == expected


CONVERGED = ("lbfgs", "levenberg_marquardt")
"""By step 25."""


@pytest.mark.parametrize("split", [3, 25])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ROWS)
def test_it_resumes_to_the_last_bit(name: str, dtype: torch.dtype, split: int) -> None:
    """Early too: what NAdam has in another dtype than its parameters fades soon."""
    split = min(split, 4) if name in CONVERGED else split
    module = network(dtype)
    optimizer = built(name)(module)
    walk(module, optimizer, split)
    resumed = network(dtype)
    resumed.load_state_dict(module.state_dict())
    fresh = built(name)(resumed)
    load_exactly(fresh, through_a_file(exact_state(optimizer)))
    expected, found = walk(module, optimizer, 10), walk(resumed, fresh, 10)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert not torch.equal(expected[0], expected[-1])


def through_a_file(state: dict[str, Any]) -> Any:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)
