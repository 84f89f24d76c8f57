"""The zoo's that were made fit for the trainer, against the library's own, used as it wants."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytorch_optimizer as library
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.optim.zoo.bsam import BSAM
from optbench.optim.zoo.demo import DeMo
from optbench.optim.zoo.distributed_muon import DistributedMuon
from optbench.optim.zoo.lomo import LOMO, AdaLOMO
from optbench.optim.zoo.scionlight import SCIONLight

STEPS = 12


def models() -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    return model, copy.deepcopy(model)


def batches() -> Iterator[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(7)
    for _ in range(STEPS):
        inputs = torch.randn(16, 6, generator=generator)
        yield inputs, torch.randint(4, (16,), generator=generator)


def trained(model: nn.Module, step: Callable[[Tensor], None]) -> list[Tensor]:
    """All weights after a run, in which `step` is given the loss of each batch."""
    for inputs, targets in batches():
        step(cross_entropy(model(inputs), targets))
    return [parameter.detach() for parameter in model.parameters()]


def plainly(optimizer: torch.optim.Optimizer) -> Callable[[Tensor], None]:
    """As the trainer does: gradients are new for every step."""

    def step(loss: Tensor) -> None:
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def assert_equal(ours: list[Tensor], theirs: list[Tensor], start: nn.Module) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(ours[0], next(start.parameters()))


@pytest.mark.parametrize(
    ("cls", "reference", "settings"),
    [
        (LOMO, library.LOMO, {"lr": 0.3}),
        (LOMO, library.LOMO, {"lr": 0.3, "clip_grad_value": 0.05}),
        (AdaLOMO, library.AdaLOMO, {"lr": 0.05}),
        (AdaLOMO, library.AdaLOMO, {"lr": 0.05, "weight_decay": 0.1, "clip_grad_value": 0.05}),
    ],
    ids=str,
)
def test_after_backward_is_as_within_it(cls: Any, reference: Any, settings: dict[str, Any]) -> None:
    (one, other), (start, _) = models(), models()
    theirs = reference(other, **settings)
    lr = settings["lr"]
    ours = trained(one, plainly(cls(one, **settings)))
    assert_equal(ours, trained(other, lambda loss: theirs.fused_backward(loss, lr)), start)


@pytest.mark.parametrize(
    ("cls", "reference"), [(LOMO, library.LOMO), (AdaLOMO, library.AdaLOMO)], ids=str
)
def test_their_clipping_by_norm(cls: Any, reference: Any) -> None:
    """The library wants a backward pass of its own for the norm."""
    (one, other), (start, _) = models(), models()
    settings = {"lr": 0.05, "clip_grad_norm": 0.1}
    theirs = reference(other, **settings)

    def step(loss: Tensor) -> None:
        theirs.grad_norm(loss)
        theirs.fused_backward(loss, 0.05)

    if reference is library.AdaLOMO:  # its norm is the scaled gradients' else
        theirs.loss_scale = 0.0
    ours = trained(one, plainly(cls(one, **settings)))
    for a, b in zip(ours, trained(other, step), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)
    assert not torch.equal(ours[0], next(start.parameters()))


def test_they_follow_what_is_scheduled() -> None:
    model, _ = models()
    optimizer = AdaLOMO(model, lr=0.0)
    before = [p.detach().clone() for p in model.parameters()]
    step = plainly(optimizer)
    trained(model, step)
    assert all(map(torch.equal, before, model.parameters()))
    optimizer.param_groups[0].update(lr=0.1, weight_decay=0.5)
    trained(model, step)
    assert not any(map(torch.equal, before, model.parameters()))
    assert (optimizer.lr, optimizer.weight_decay) == (0.1, 0.5)


@pytest.mark.parametrize("foreach", [True, False])
@pytest.mark.parametrize("settings", [{}, {"momentum": 1.0}, {"constraint": True, "scale": 3.0}])
def test_scionlights_momentum_is_what_it_leaves_in_gradients(
    settings: dict[str, Any], foreach: bool
) -> None:
    (one, other), (start, _) = models(), models()
    settings = {"lr": 0.01, "foreach": foreach, **settings}
    theirs = library.SCIONLight(other.parameters(), **settings)

    def step(loss: Tensor) -> None:
        loss.backward()
        theirs.step()
        if settings.get("momentum") == 1.0:  # then it leaves the gradients whole
            theirs.zero_grad()

    ours = trained(one, plainly(SCIONLight(one.parameters(), **settings)))
    assert_equal(ours, trained(other, step), start)


def test_scionlight_leaves_gradients_alone() -> None:
    model, _ = models()
    optimizer = SCIONLight(model.parameters())
    inputs, targets = next(batches())
    for _ in range(2):
        optimizer.zero_grad()
        cross_entropy(model(inputs), targets).backward()
        before = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        optimizer.step()
        after = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(map(torch.equal, before, after))


@pytest.fixture
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def muon_groups(model: nn.Sequential) -> list[dict[str, Any]]:
    matrices = [p for p in model.parameters() if p.ndim == 2]
    return [
        {"params": matrices, "use_muon": True},
        {"params": [p for p in model.parameters() if p.ndim < 2], "use_muon": False},
    ]


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "nesterov": False, "lr": 0.1}])
def test_distributed_muon_alone(settings: dict[str, Any]) -> None:
    """Without a process group as the library's with one of one process."""
    (one, other), (start, _) = models(), models()
    optimizer = DistributedMuon(muon_groups(one), **settings)
    ours = trained(one, plainly(optimizer))
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        theirs = trained(other, plainly(library.DistributedMuon(muon_groups(other), **settings)))
    finally:
        dist.destroy_process_group()
    assert_equal(ours, theirs, start)


@pytest.mark.parametrize("settings", [{}, {"compression_top_k": 2, "compression_chunk": 4}])
def test_demo_alone(settings: dict[str, Any], group_of_one: None) -> None:
    (one, other), (start, _) = models(), models()
    settings = {"lr": 0.01, "weight_decay": 0.1, **settings}
    ours = trained(one, plainly(DeMo(one.parameters(), **settings)))
    theirs = trained(other, plainly(library.DeMo(other.parameters(), **settings)))
    assert_equal(ours, theirs, start)


@pytest.mark.parametrize("make", [AdaLOMO, lambda model: DeMo(model.parameters())], ids=str)
def test_what_is_no_matrix_is_refused(make: Callable[[nn.Module], Any]) -> None:
    with pytest.raises(ValueError, match=r"vectors and matrices only, not a parameter of \[2, 1"):
        make(nn.Conv2d(1, 2, 3))


def bsam_steps(w: Tensor, gradient: Any, noises: list[Tensor], adaptive: bool) -> Tensor:
    """The authors' algorithm for a single tensor, in plain words."""
    n, lr, beta1, beta2, decay, rho, damping = 50, 0.1, 0.8, 0.95, 0.01, 0.2, 0.3
    gm, s = torch.zeros_like(w), torch.ones_like(w)
    for noise in noises:
        g = gradient(w + torch.sqrt(1 / (n * s)) * noise)
        g_perturbed = gradient(w + rho * g * (w**2 if adaptive else 1) / s)
        gm = beta1 * gm + (1 - beta1) * (g_perturbed + decay * w)
        w = w - lr * gm / s
        s = beta2 * s + (1 - beta2) * (torch.sqrt(s * g**2) + decay + damping)
    return w


@pytest.mark.parametrize("adaptive", [False, True])
def test_bsam_is_its_authors(adaptive: bool) -> None:
    torch.manual_seed(1)
    start, target = torch.randn(5, 3).double(), torch.randn(5, 3).double()
    weights = nn.Parameter(start.clone())
    settings = {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.01, "rho": 0.2}
    optimizer = BSAM([weights], 50, **settings, adaptive=adaptive, damping=0.3)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (1 + (weights - target) ** 2).sqrt().sum()
        loss.backward()
        return loss

    torch.manual_seed(2)
    for _ in range(50):
        optimizer.step(closure)
    torch.manual_seed(2)
    noises = [torch.randn_like(start) for _ in range(50)]

    def gradient(w: Tensor) -> Tensor:
        return (w - target) / (1 + (w - target) ** 2).sqrt()

    expected = bsam_steps(start, gradient, noises, adaptive)
    torch.testing.assert_close(weights.detach(), expected, rtol=1e-12, atol=1e-12)
    assert torch.dist(expected, target) < torch.dist(start, target)


def test_bsam_takes_its_moves_back_when_the_loss_raises() -> None:
    weights = nn.Parameter(torch.ones(4))
    optimizer = BSAM([weights], 10)
    calls = []

    def closure() -> Tensor:
        calls.append(weights.detach().clone())
        if len(calls) % 2 == 0:
            raise RuntimeError("no loss")
        weights.grad = torch.ones(4)
        return torch.tensor(0.0)

    with pytest.raises(RuntimeError, match="no loss"):
        optimizer.step(closure)
    assert not torch.equal(calls[0], torch.ones(4)) and not torch.equal(calls[1], calls[0])
    assert torch.equal(weights, torch.ones(4))
