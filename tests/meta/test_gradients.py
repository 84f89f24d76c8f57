"""The meta-gradient: backpropagated against finite differences, evolved against the true one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from optbench.meta.estimate import Slot, Source, by_backpropagation, by_evolution, meta_gradient
from optbench.meta.tasks import InnerTask
from optbench.meta.unroll import squashed, start, unroll
from optbench.optim.learned.base import LearnedRule, Sizes, Weights
from optbench.optim.learned.weights import ARCHITECTURES


def small_network() -> InnerTask:
    """Tanh, in float64: all of it can be differentiated twice."""
    generator = torch.Generator().manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    inputs = torch.randn(8, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(8, 2, generator=generator, dtype=torch.float64)
    begin = {
        name: torch.randn(each.shape, generator=generator, dtype=torch.float64)
        for name, each in network.named_parameters()
    }

    def loss(point: Mapping[str, Tensor], step: int) -> Tensor:
        rows = slice(step % 4, step % 4 + 4)  # another batch at each step
        return (functional_call(network, dict(point), inputs[rows]) - targets[rows]).square().mean()

    return InnerTask("small", begin, loss)


def source(rule: LearnedRule, method: str, steps: int, sigma: float = 0.01) -> Source:
    return Source(rule, 0, ("quadratic",), 1, 1000, steps, method, second=True, sigma=sigma)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_backpropagation_is_the_derivative(name: str) -> None:
    """In a direction drawn, against central differences of the unrolled loss."""
    rule, task = ARCHITECTURES[name], small_network()
    off = torch.Generator().manual_seed(4)  # off the corners of ReLU that it begins at
    weights = {
        n: w.double() + 0.1 * torch.randn(w.shape, generator=off, dtype=torch.float64)
        for n, w in rule.draw(3).items()
    }
    slot = Slot(0, task, 100, 2.0, [start(rule, task)])
    _, gradients = by_backpropagation(source(rule, "tbptt", 6), weights, slot, 1)
    generator = torch.Generator().manual_seed(5)
    way = {n: torch.randn(w.shape, generator=generator, dtype=w.dtype) for n, w in weights.items()}

    def at(distance: float) -> float:
        moved = {n: w + distance * way[n] for n, w in weights.items()}
        return float(unroll(rule, moved, task, start(rule, task), 6, unit=2.0)[0])

    expected = (at(1e-6) - at(-1e-6)) / 2e-6
    found = float(sum((gradients[n] * way[n]).sum() for n in way))
    assert abs(expected) > 1e-4
    assert found == pytest.approx(expected, rel=1e-5)
    assert slot.places[0].step == 6 and not slot.places[0].memory.requires_grad


def test_without_second_derivatives_it_is_another() -> None:
    rule, task = ARCHITECTURES["mlp"], small_network()
    weights = {n: w.double() for n, w in rule.draw(3).items()}
    found = []
    for second in (True, False):
        own = Source(rule, 0, ("quadratic",), 1, 1000, 6, "tbptt", second=second)
        slot = Slot(0, task, 100, 1.0, [start(rule, task)])
        found.append(by_backpropagation(own, weights, slot, 1)[1]["in.weight"])
    assert torch.cosine_similarity(found[0].flatten(), found[1].flatten(), dim=0) > 0.5
    assert not torch.allclose(*found, rtol=1e-3)


class Drift:
    """Adds its weights, whatever the gradient: a quadratic's loss is quadratic in them."""

    memory = 1

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"drift": (2,)}

    def draw(self, seed: int) -> dict[str, Tensor]:
        return {"drift": torch.tensor([-0.05, 0.02], dtype=torch.float64)}

    def update(
        self,
        weights: Weights,
        point: Tensor,
        gradient: Tensor,
        memory: Tensor,
        tensors: Sequence[Sizes],
        step: int,
    ) -> tuple[Tensor, Tensor]:
        return weights["drift"], memory


def quadratic() -> InnerTask:
    matrix = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    begin = {"x": torch.tensor([1.0, -1.0], dtype=torch.float64)}
    return InnerTask("q", begin, lambda p, _: 0.5 * p["x"] @ matrix @ p["x"])


def test_evolution_is_not_biased_by_truncation() -> None:
    """Three truncations of a quadratic: within 4 standard errors of the whole one's gradient,
    which truncated backpropagation misses."""
    rule, task, pieces, length, draws = Drift(), quadratic(), 3, 2, 400
    weights = {"drift": rule.draw(0)["drift"].requires_grad_()}

    def plain(loss: Tensor) -> Tensor:
        return loss

    whole, _ = unroll(rule, weights, task, start(rule, task), pieces * length, score=plain)
    (true,) = torch.autograd.grad(whole, [weights["drift"]])

    def estimate(method: str, number: int) -> Tensor:
        own = source(rule, method, length, sigma=0.1)
        slot = Slot(number, task, 1000, 1.0, [start(rule, task) for _ in range(2)])
        one = by_evolution if method == "pes" else by_backpropagation
        found = [one(own, weights, slot, turn, plain)[1]["drift"] for turn in range(pieces)]
        return torch.stack(found).mean(0)

    estimates = torch.stack([estimate("pes", number) for number in range(draws)])
    error = estimates.std(0) / draws**0.5
    assert ((estimates.mean(0) - true).abs() < 4 * error).all()
    assert (4 * error < 0.4 * true.abs()).all()
    truncated = estimate("tbptt", 0)
    assert ((truncated - true).abs() > 5 * error).all()


def test_what_is_over_or_diverges_gives_way_to_the_next_task() -> None:
    class Away(Drift):
        memory = 1

        def update(self, weights: Weights, point: Tensor, *_: object) -> tuple[Tensor, Tensor]:  # type: ignore[override]
            return point * 1e4 + weights["drift"].sum(), torch.zeros(len(point), 1)

    own = source(Away(), "tbptt", 3)
    slot = own.slot(0)
    loss, gradients, after = meta_gradient(own, {"drift": torch.zeros(2)}, slot, 1)
    assert loss > float(squashed(torch.tensor(1e4)))
    assert after.before == 1 and after.places[0].step == 0
    assert gradients["drift"].isfinite().all()
