"""Second-order optimizers in the one trainer, where theory says what has to come out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import TensorDataset

import optbench
from optbench.assemble.experiment import Experiment
from optbench.optim.exact_state import attributes

from .experiments import experiment, fit, player_of, trained, weights_of

HERE = "tests.training.test_second_order"
REGRESSION = [
    "task=regression",
    *("dataset=custom", f"dataset._target_={HERE}.Curve", "dataset.val_fraction=0"),
    *("model=custom", "batch_size=full", "eval.every=0", "checkpoint=none"),
]
LINEAR = [*REGRESSION, f"model._target_={HERE}.linear"]
NET = [*REGRESSION, f"model._target_={HERE}.net"]
UNDAMPED = ["optimizer.damping=0"]
BY_CG = ["optimizer.solver=cg", "optimizer.cg_stop=residual", "optimizer.cg_tolerance=1e-14"]


class Curve(TensorDataset):
    """Sixty inputs of 4 numbers, badly scaled, and two noisy functions of them."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(3)
        inputs = torch.randn(60, 4, generator=generator, dtype=torch.float64)
        noise = torch.randn(60, 2, generator=generator, dtype=torch.float64)
        targets = torch.stack([inputs.sum(1).sin(), inputs[:, 0] * inputs[:, 1]], dim=1)
        scales = torch.tensor([1.0, 0.5, 0.3, 1.0], dtype=torch.float64)
        super().__init__(inputs * scales, targets + 0.1 * noise)


def linear() -> nn.Module:
    return nn.Linear(4, 2)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))


class Mixed(nn.Module):
    """The same net, whose first layer is fed A x + b, with the weights that undo it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.net = net()
        generator = torch.Generator().manual_seed(5)
        self.a = torch.randn(4, 4, generator=generator) + 2 * torch.eye(4)
        self.b = torch.randn(4, generator=generator)
        first: Any = self.net[0]  # type: ignore[index]
        with torch.no_grad():
            weight = first.weight @ torch.linalg.inv(self.a)
            first.bias.sub_(weight @ self.b)
            first.weight.copy_(weight)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.net(x @ self.a.T + self.b)
        return outputs


def straight() -> nn.Module:
    torch.manual_seed(7)
    return net()


@pytest.fixture(autouse=True)
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def gap(made: Experiment) -> float:
    """How far above its minimum a test function is."""
    module = player_of(made).module
    return float(module.gap(module.x.detach()))  # type: ignore[operator, union-attr]


QUADRATIC = ["model=quadratic", "model.dim=12", "model.condition=1000", "model.rotation=1"]


@pytest.mark.parametrize("solver", [[], BY_CG], ids=["exact", "cg"])
@pytest.mark.parametrize("search", ["armijo", "strong_wolfe", "none"])
def test_newton_solves_a_quadratic_in_one_step(solver: list[str], search: str) -> None:
    lines = ["optimizer=newton", *UNDAMPED, *solver, f"optimizer.line_search={search}"]
    made = experiment(*QUADRATIC, *lines, "steps=1")
    before = gap(made)
    fit(made)
    assert gap(made) < 1e-20 < before and weights_of(made).norm() < 1e-10


def least_squares() -> Tensor:
    """The weights that are best, by the normal equations."""
    inputs, targets = Curve().tensors
    wide = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    found = torch.linalg.lstsq(wide, targets).solution
    return torch.cat([found[:-1].T.flatten(), found[-1]])


@pytest.mark.parametrize("solver", [[], BY_CG], ids=["exact", "cg"])
@pytest.mark.parametrize("name", ["newton", "gauss_newton", "natural_gradient"])
def test_linear_least_squares_take_one_step(name: str, solver: list[str]) -> None:
    more = ["optimizer.delta=null"] if name == "natural_gradient" else []
    found = trained(*LINEAR, f"optimizer={name}", *UNDAMPED, *solver, *more, "steps=1")
    assert torch.dist(found, least_squares()) < 1e-10


def test_levenberg_marquardt_comes_there_as_its_damping_falls() -> None:
    lines = [*LINEAR, "optimizer=levenberg_marquardt", "monitor.every=1"]
    made = experiment(*lines, "steps=5")
    _, memory = fit(made)
    assert torch.dist(weights_of(made), least_squares()) < 1e-8
    dampings = memory.values("optimizer/damping")
    assert dampings == pytest.approx({1: 1e-2, 2: 1e-3, 3: 1e-4, 4: 1e-5, 5: 1e-6})


@pytest.mark.parametrize("seed", range(3))
def test_bfgs_with_exact_searches_ends_after_as_many_steps_as_dimensions(seed: int) -> None:
    line = ["model=quadratic", "model.dim=8", "model.condition=100", f"model.rotation={seed}"]
    bfgs = ["optimizer=bfgs", "optimizer.line_search=exact"]
    made, short = (experiment(*line, *bfgs, f"steps={steps}") for steps in (8, 7))
    fit(made)
    fit(short)
    assert gap(made) < 1e-16 < 1e-8 < gap(short)


def hessian_of(made: Experiment) -> Tensor:
    module: Any = player_of(made).module
    return module.eigenvectors @ module.eigenvalues.diag() @ module.eigenvectors.T  # type: ignore[no-any-return]


def test_sr1_has_the_hessian_after_as_many_steps_as_dimensions() -> None:
    line = ["model=quadratic", "model.dim=6", "model.eigenvalues=[0.2,0.5,2,3,5,7]"]
    line += ["model.rotation=1", "optimizer=sr1"]
    short, made = (experiment(*line, f"steps={steps}") for steps in (5, 6))
    fit(short)
    fit(made)
    matrices = [player_of(each).optimizer.state for each in (short, made)]
    early, late = (next(iter(state.values()))["matrix"] for state in matrices)
    assert torch.dist(late, hessian_of(made)) < 1e-8 < 1e-3 < torch.dist(early, hessian_of(made))


def path(model: str, optimizer: list[str], steps: int) -> Tensor:
    """The outputs for all inputs after each step."""
    made = experiment(*REGRESSION, f"model._target_={HERE}.{model}", *optimizer, f"steps={steps}")
    found = []

    def look(_: int) -> None:
        with torch.no_grad():
            found.append(player_of(made).module(Curve().tensors[0]).clone())

    fit(made, tick=look)
    return torch.stack(found)


NATURAL = ["optimizer=natural_gradient", "optimizer.delta=1e-3", *UNDAMPED]


@pytest.mark.parametrize(
    "optimizer",
    [
        NATURAL,
        [*NATURAL, *BY_CG, "optimizer.cg_iterations=200", "optimizer.cg_decay=0"],
        [*NATURAL, "optimizer.fisher=empirical"],
        ["optimizer=gauss_newton", *UNDAMPED],
    ],
    ids=["exact", "cg", "empirical", "gauss_newton"],
)
def test_the_natural_gradient_knows_no_parametrization(optimizer: list[str]) -> None:
    one, other = path("straight", optimizer, 6), path("Mixed", optimizer, 6)
    assert torch.dist(one[0], one[-1]) > 0.1
    assert torch.dist(one, other) < 1e-8


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_the_gradient_does(name: str) -> None:
    optimizer = [f"optimizer={name}", "optimizer.lr=0.05"]
    one, other = path("straight", optimizer, 6), path("Mixed", optimizer, 6)
    assert torch.dist(one, other) > 0.1


def test_a_step_of_the_natural_gradient_is_bounded_by_what_it_changes() -> None:
    lines = [*NET, "optimizer=natural_gradient", "optimizer.delta=1e-4", "monitor.every=1"]
    _, memory = fit(experiment(*lines, "steps=5"))
    for divergence, size in zip(
        memory.values("optimizer/kl").values(),
        memory.values("optimizer/step_length").values(),
        strict=True,
    ):
        assert divergence == pytest.approx(1e-4) and size < 1.0


def test_conjugate_gradients_take_fewer_iterations_with_it() -> None:
    lines = [*NET, "optimizer=newton", "optimizer.curvature=ggn", "optimizer.damping=1e-6"]
    lines += [*BY_CG[:2], "optimizer.cg_tolerance=1e-6", "monitor.every=1", "steps=1"]
    counts = []
    for word in ("true", "false"):
        _, memory = fit(experiment(*lines, f"optimizer.precondition={word}"))
        counts.append(memory.values("optimizer/cg_iterations")[1])
    assert 0 < counts[0] < counts[1]


def test_damping_follows_the_reduction_ratio() -> None:
    lines = ["model=rosenbrock", "optimizer=newton", "optimizer.damping=1.0", "monitor.every=1"]
    _, memory = fit(experiment(*lines, "steps=12"))
    ratios, dampings = (memory.values(f"optimizer/{n}") for n in ("reduction_ratio", "damping"))
    factors = set()
    for step in range(1, 12):
        ratio = ratios[step]
        factor = 1.5 if not ratio >= 0.25 else 2 / 3 if ratio > 0.75 else 1.0
        factors.add(factor)
        assert dampings[step + 1] == pytest.approx(dampings[step] * factor)
    assert len(factors) >= 2


@pytest.mark.parametrize("name", ["newton", "levenberg_marquardt", "natural_gradient"])
def test_an_exact_solution_tells_its_seconds(name: str) -> None:
    lines = [*NET, f"optimizer={name}", "monitor.every=1", "steps=2"]
    told = []
    for solver in ("exact", "cg"):
        made = experiment(*lines, f"optimizer.solver={solver}")
        _, memory = fit(made)
        tags = [f"throughput/{part}_seconds" for part in ("curvature", "solve")]
        told.append([memory.values(tag) for tag in tags])
        assert "timed" not in attributes(player_of(made).optimizer)[0]  # no checkpoint has them
    exact, by_cg = told
    assert all(len(seconds) == 2 and min(seconds.values()) > 0 for seconds in exact)
    assert by_cg == [{}, {}]


def test_from_python() -> None:
    result = optbench.train("model=rosenbrock", "optimizer=bfgs", "steps=60")
    assert result.metrics["val/loss_gap"] < 1e-12
