"""optbench.optim.second_order.kfac: what it makes of gradients, and what it refuses."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from few import few
from torch import Tensor, nn
from training.objectives import EXAMPLES, Problem

from optbench.models.mlp import MLP
from optbench.optim.combined import Combined
from optbench.optim.needs import Needs, needs_of
from optbench.optim.second_order.kfac import kfac as module_of_kfac
from optbench.optim.second_order.kfac import precondition
from optbench.optim.second_order.kfac.damping import adapted
from optbench.optim.second_order.kfac.factors import squares
from optbench.optim.second_order.kfac.inverses import inverse
from optbench.optim.second_order.kfac.kfac import KFAC
from optbench.optim.second_order.kfac.layers import layers

from .problems import classified, error, kfac, mlp, stepped, strided, two_conv_two_dense

METHODS = ["cholesky", "eigen", "ekfac"]


def wide() -> Problem:
    """With layers that have more inputs and outputs than there are examples."""
    torch.manual_seed(0)
    module = MLP(input_shape=(40,), num_classes=30, hidden=[50, 30], activation="tanh")
    return classified(module, (40,))


def steps_of(problem: Problem, count: int = 4, change: Any = None, **settings: Any) -> Tensor:
    """The parameters after some steps, `change` being made to the gradients of each."""
    optimizer = kfac(problem, lr=0.1, momentum=0.5, kl_clip=0.1, inverses_every=2, **settings)
    for _ in range(count):
        objective = problem.objective()
        if change is not None:
            objective = Changed(objective, change, problem)
        optimizer.step(objective)
    return nn.utils.parameters_to_vector(problem.parameters).detach()


class Changed:
    """An objective whose gradients are changed."""

    def __init__(self, objective: Any, change: Callable[[Tensor], Tensor], of: Problem) -> None:
        self.objective, self.change, self.of = objective, change, of

    def __call__(self) -> Tensor:
        loss: Tensor = self.objective()
        for parameter in self.of.parameters:
            assert parameter.grad is not None
            parameter.grad.copy_(self.change(parameter.grad))
        return loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self.objective, name)


CHANGES = {
    "none": None,
    "by the norm": lambda g: g * 0.25,
    "by value": lambda g: g.clamp(-0.01, 0.01),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_gradients_parts_give_what_the_gradient_does(
    change: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clipped, too: the parts are of what was there before."""
    found = steps_of(wide(), change=change)
    monkeypatch.setattr(module_of_kfac, "splits", lambda layer, state: False)
    torch.testing.assert_close(found, steps_of(wide(), change=change), rtol=1e-9, atol=1e-12)


def test_the_parts_are_used_where_that_is_less_work(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[Any] = []
    product = precondition.Product

    def noted(*arguments: Any) -> Any:
        used.append(arguments)
        return product(*arguments)

    monkeypatch.setattr(precondition, "Product", noted)
    steps_of(wide(), count=3)
    assert len(used) == 3 * 2  # the first step does not know yet
    used.clear()
    steps_of(wide(), count=3, change=lambda g: g.clamp(-0.01, 0.01))
    steps_of(mlp(), count=3)
    assert not used


@pytest.mark.parametrize("fisher", ["empirical", "sampled"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("make", few([mlp, two_conv_two_dense, strided, wide], 2))
def test_micro_batches_make_the_whole_batchs_step(
    make: Callable[[], Problem], method: str, fisher: str
) -> None:
    settings: dict[str, Any] = {"method": method, "fisher": fisher, "damping": 1e-2}
    whole, parts = make(), make()
    _, wanted = stepped(whole, kfac(whole, **settings))
    _, found = stepped(parts, kfac(parts, **settings), accumulate=3)
    assert error(found, wanted) <= 1e-9


def one_hot() -> tuple[Problem, Problem]:
    """An embedding of tokens, and a linear layer on their one-hot vectors."""
    torch.manual_seed(0)
    ids = torch.randint(6, (EXAMPLES, 4))
    embedding, linear = nn.Embedding(6, 3), nn.Linear(6, 3, bias=False)
    with torch.no_grad():
        linear.weight.copy_(embedding.weight.t())
    rest = nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(12, 3))
    one = nn.Sequential(embedding, copy.deepcopy(rest)).double()
    other = nn.Sequential(linear, copy.deepcopy(rest)).double()
    task, targets = mlp().task, torch.randint(3, (EXAMPLES,))
    vectors = torch.nn.functional.one_hot(ids, 6).double()
    return Problem(one, task, ids, targets), Problem(other, task, vectors, targets)


@pytest.mark.parametrize("method", METHODS)
def test_an_embedding_is_a_linear_layer_on_one_hot_vectors(method: str) -> None:
    by_ids, by_vectors = one_hot()
    # With fresh averages the eigenvectors of a diagonal matrix are the unit vectors.
    _, found = stepped(by_ids, kfac(by_ids, method=method))
    _, wanted = stepped(by_vectors, kfac(by_vectors, method=method))
    found[0] = found[0].t()
    assert error(found, wanted) <= 1e-9


def test_groups_of_a_convolution_are_convolutions_of_their_own() -> None:
    torch.manual_seed(0)
    grouped = nn.Conv2d(4, 6, 3, groups=2)
    parts = [nn.Conv2d(2, 3, 3), nn.Conv2d(2, 3, 3)]
    with torch.no_grad():
        for number, part in enumerate(parts):
            part.weight.copy_(grouped.weight[3 * number : 3 * number + 3])
            part.bias.copy_(grouped.bias[3 * number : 3 * number + 3])  # type: ignore[index, union-attr]

    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList(parts)

        def forward(self, inputs: Tensor) -> Tensor:
            pairs = zip(self.parts, inputs.chunk(2, dim=1), strict=True)
            return torch.cat([part(half) for part, half in pairs], dim=1)

    head = nn.Sequential(nn.Tanh(), nn.Flatten(), nn.Linear(54, 3))
    inputs, targets = torch.randn(EXAMPLES, 4, 5, 5).double(), torch.randint(3, (EXAMPLES,))
    problems = []
    for first in (grouped, Beside()):
        module = nn.Sequential(first, copy.deepcopy(head)).double()
        problems.append(Problem(module, mlp().task, inputs, targets))
    moves = [stepped(problem, kfac(problem))[1] for problem in problems]
    one = torch.cat([moves[0][0].flatten(), moves[0][1], moves[0][2].flatten()])
    first, first_bias, second, second_bias, rest, *_ = moves[1]
    other = torch.cat([first.flatten(), second.flatten(), first_bias, second_bias, rest.flatten()])
    torch.testing.assert_close(one, other)


def test_a_wide_side_is_taken_for_diagonal() -> None:
    problem = wide()
    optimizer = kfac(problem, largest=40, fisher="empirical")
    stepped(problem, optimizer)
    shapes = [list(optimizer.state[p]["A"].shape) for p in problem.parameters[::2]]
    assert shapes == [[1, 41], [1, 51], [1, 31, 31]]


def test_a_step_is_as_long_as_the_kl_bound_lets_it_be() -> None:
    problem = mlp()
    optimizer = kfac(problem, kl_clip=1e-4, lr=0.5)
    gradients, moved = stepped(problem, optimizer)
    size = sum(float((g * m).sum()) for g, m in zip(gradients, moved, strict=True))
    assert optimizer.measured["kl_scale"] < 1
    # lr^2 <d, g> with d = step / (lr nu), times nu^2
    assert 0.5 * size * optimizer.measured["kl_scale"] == pytest.approx(1e-4)


def test_damping_follows_the_reduction_ratio() -> None:
    problem = mlp()
    optimizer = kfac(problem, adapt_every=2, lr=1e-3)
    optimizer.step(problem.objective())
    assert "reduction_ratio" not in optimizer.measured
    optimizer.step(problem.objective())
    # So short a step does what the quadratic model says, and the damping falls.
    assert optimizer.measured["reduction_ratio"] == pytest.approx(1, abs=1e-2)
    optimizer.step(problem.objective())
    assert optimizer.measured["damping"] == pytest.approx(1e-3 * 0.9**2)


def test_adapting_the_damping_takes_products_and_the_losss_own_gradients() -> None:
    plain, adapting = (needs_of(kfac(mlp(), adapt_every=every)) for every in (0, 2))
    assert not (plain.hvp or plain.ggn or plain.own_gradient)
    assert adapting.hvp and adapting.ggn and adapting.own_gradient


def test_inverses_are_of_the_damping_as_it_was_adapted() -> None:
    problem = mlp()
    optimizer = kfac(problem, adapt_every=2, lr=1e-3, factors_every=9, inverses_every=9)
    weight = problem.parameters[0]
    kept = []
    for _ in range(4):
        optimizer.step(problem.objective())
        kept.append(optimizer.state[weight]["A_inverse"].clone())
    assert torch.equal(kept[0], kept[1]) and torch.equal(kept[2], kept[3])
    assert kept[2][0].trace() > kept[1][0].trace()


def test_the_reduction_ratio_is_loss_over_quadratic_model() -> None:
    problem = mlp()
    optimizer = kfac(problem, adapt_every=1, weight_decay=0.1)
    objective = problem.objective()
    before = objective.loss()
    gradients, moved = stepped(problem, optimizer)
    after = problem.objective().loss()
    same = mlp().objective()
    steps = [-each for each in moved]
    products = same.ggnvp(same._aside.player.parameters, steps)
    said = sum(
        float((s * (g + p / 2)).sum()) for s, g, p in zip(steps, gradients, products, strict=True)
    )
    assert optimizer.measured["reduction_ratio"] == pytest.approx(float(after - before) / said)


@pytest.mark.parametrize(
    ("ratio", "factor"), [(0.9, 0.81), (0.5, 1.0), (0.1, 1 / 0.81), (float("nan"), 1 / 0.81)]
)
def test_by_how_much_damping_adapts(ratio: float, factor: float) -> None:
    assert adapted(1.0, ratio, steps=2, damping=1e-3) == pytest.approx(factor)


def test_damping_stays_in_bounds() -> None:
    assert adapted(1e-5, 0.9, steps=5, damping=1e-8) == pytest.approx(1e-5)
    assert adapted(1e11, 0.1, steps=5, damping=1e8) == pytest.approx(1e11)


def test_ekfacs_second_moments_are_of_the_looks_since_an_inversion() -> None:
    problem = mlp()
    optimizer = kfac(problem, method="ekfac", fisher="empirical", lr=0.0, inverses_every=3)
    state = optimizer.state[problem.parameters[0]]
    found = []
    for step in range(5):
        problem.inputs.mul_(1.5)  # others in each step
        optimizer.step(problem.objective())
        (layer, *_), objective = layers(problem.module), problem.objective()
        with objective.capture([layer.module]) as seen:
            objective()
        found.append(squares(layer, seen[layer.module], state))
        since = {0: 0, 1: 1, 2: 1, 3: 3, 4: 3}[step]
        wanted = torch.stack(found[since:]).mean(dim=0)
        torch.testing.assert_close(state["scales"], wanted)


def test_a_matrix_that_rounding_made_indefinite_is_inverted_still() -> None:
    vector = torch.randn(1, 20, 1)
    found = inverse(vector @ vector.mT - 1e-5 * torch.eye(20))
    assert found.isfinite().all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e200])  # whose square is infinite
def test_a_look_that_is_not_finite_is_left_out(bad: float, method: str) -> None:
    problem = mlp()
    optimizer = kfac(problem, fisher="empirical", method=method, lr=0.0)
    optimizer.step(problem.objective())
    kept = copy.deepcopy(optimizer.state[problem.parameters[0]])
    good = problem.inputs[0, 0].clone(), [p.detach().clone() for p in problem.parameters]
    problem.inputs[0, 0] = bad
    optimizer.step(problem.objective())
    state = optimizer.state[problem.parameters[0]]
    assert state["averaged"] == kept["averaged"] == 1
    for name in ("A", "G"):
        assert torch.equal(state[name], kept[name])
    problem.inputs[0, 0] = good[0]
    with torch.no_grad():  # the step itself was not finite either
        for parameter, old in zip(problem.parameters, good[1], strict=True):
            parameter.copy_(old)
    optimizer.step(problem.objective())
    assert state["averaged"] == 2
    assert not torch.equal(state["A"], kept["A"]) and state["A"].isfinite().all()


def test_a_layer_whose_first_look_is_not_finite_waits_for_another() -> None:
    problem = mlp()
    optimizer = kfac(problem, fisher="empirical")
    good = problem.inputs.clone()
    problem.inputs[0, 0] = float("nan")
    _, moved = stepped(problem, optimizer)
    assert all(not each.any() for each in moved)
    problem.inputs.copy_(good)
    _, moved = stepped(problem, optimizer)
    assert all(each.isfinite().all() and each.any() for each in moved)


def test_it_goes_first_and_its_companion_by_the_same_gradients() -> None:
    problem, same = mlp(), mlp()
    weights, rest = problem.parameters[:2], problem.parameters[2:]
    mine = KFAC(weights, module=problem.module, lr=0.1)
    both = Combined([torch.optim.SGD(rest, lr=0.1), mine])
    assert needs_of(both) == Needs(objective="once", module=True, fisher="sampled")
    both.step(problem.objective())
    same.objective()()
    torch.optim.SGD(same.parameters[2:], lr=0.1).step()
    for moved, wanted in zip(rest, same.parameters[2:], strict=True):
        assert torch.equal(moved, wanted)
    assert not torch.equal(weights[0], same.parameters[0])


REFUSED = [
    ({"fisher": "true"}, "fisher=true is not empirical or sampled"),
    ({"method": "qr"}, "method=qr is not cholesky, eigen or ekfac"),
    ({"sharing": "mean"}, "sharing=mean is not expand or reduce"),
    ({"factors_every": 0}, "factors_every=0 is not a whole number of at least 1"),
    ({"inverses_every": 2.5}, "inverses_every=2.5 is not a whole number of at least 1"),
    ({"places": -1}, "places=-1 is not a whole number of at least 0"),
    ({"factor_decay": 1.0}, r"factor_decay=1.0 is not in \[0, 1\)"),
    ({"kl_clip": -0.5}, "kl_clip=-0.5 is below 0"),
    ({"damping": 0.0}, "damping=0.0 is not above 0"),
    ({"momentum": 1.0}, r"momentum=1.0 is not in \[0, 1\)"),
    ({"lr": -1.0}, "lr=-1.0 is below 0"),
]


@pytest.mark.parametrize(("settings", "said"), REFUSED, ids=lambda value: str(value))
def test_settings_out_of_range_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        kfac(mlp(), **settings)


def test_a_layer_that_it_does_not_know_is_named() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2))
    with pytest.raises(ValueError, match=r"^K-FAC knows no layer like 1 \(LSTM\); it knows Linear"):
        KFAC(module.parameters(), module=module)


class Uncalled(nn.Module):
    """Of two layers one is called, and of the other the weight is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.called, self.taken = nn.Linear(5, 4), nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return nn.functional.linear(self.called(inputs), self.taken.weight)


@pytest.mark.parametrize("fisher", ["empirical", "sampled"])
def test_a_layer_that_is_not_called_is_named(fisher: str) -> None:
    problem = classified(Uncalled(), (5,))
    optimizer = kfac(problem, fisher=fisher)
    with pytest.raises(ValueError, match=r"^K-FAC sees nothing of taken \(Linear\): its weight"):
        optimizer.step(problem.objective())


def test_a_layer_without_a_part_in_the_loss_is_left_alone() -> None:
    problem = mlp()
    problem.module.add_module("unused", nn.Linear(2, 2).double())
    _, moved = stepped(problem, kfac(problem))
    assert moved[0].any() and not moved[-1].any()


def test_a_bias_without_its_weight_is_refused() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"^1 of the parameters are of no layer whose weight"):
        KFAC([module[0].weight, module[1].bias], module=module)
