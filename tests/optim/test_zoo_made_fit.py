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


def test_scionlights_momentum_may_be_scheduled() -> None:
    """At 1 nothing is left of a gradient for the next step."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = SCIONLight([weight], momentum=1.0)
    for momentum, gradient, expected in ((1.0, 1.0, 0.0), (0.5, 5.0, 2.5), (0.5, 1.0, 1.75)):
        optimizer.param_groups[0]["momentum"] = momentum
        weight.grad = torch.full((2,), gradient)
        optimizer.step()
        assert torch.equal(optimizer.state[weight]["momentum_buffer"], torch.full((2,), expected))


def test_lomo_steps_all_weights_or_none() -> None:
    """The library's leaves out what comes after a gradient that is not finite."""
    model, _ = models()
    optimizer = LOMO(model, lr=0.1)
    inputs, targets = next(batches())
    cross_entropy(model(inputs), targets).backward()
    bias = model[0].bias
    assert isinstance(bias, Tensor) and bias.grad is not None
    bias.grad[0] = torch.nan
    before = [p.detach().clone() for p in model.parameters()]
    optimizer.step()
    assert not any(map(torch.equal, before, model.parameters()))


def sgd(parameter: nn.Parameter) -> Any:
    return torch.optim.SGD([parameter], lr=0.1)


@pytest.mark.parametrize(
    ("make", "parents"),
    [
        (lambda p: DeMo([p]), [sgd, lambda p: library.DeMo([p])]),
        (
            lambda p: DistributedMuon([{"params": [p], "use_muon": True}]),
            [lambda p: library.Muon([{"params": [p], "use_muon": True}])],
        ),
        (lambda p: SCIONLight([p]), [lambda p: library.SCIONLight([p])]),
    ],
    ids=["demo", "distributedmuon", "scionlight"],
)
def test_hooks_run_once_whatever_was_made_before(make: Any, parents: list[Any]) -> None:
    weight = nn.Parameter(torch.ones(4, 4))
    for parent in parents:
        parent(weight)  # torch hangs hooks on its class's step now
    optimizer, calls = make(weight), []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    weight.grad = torch.eye(4)
    optimizer.step()
    assert calls == ["before", "after"]


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


@pytest.mark.parametrize(
    "make", [AdaLOMO, lambda model: DeMo(model.parameters())], ids=["adalomo", "demo"]
)
def test_what_is_no_matrix_is_refused(make: Callable[[nn.Module], Any]) -> None:
    with pytest.raises(ValueError, match=r"vectors and matrices only, not a parameter of \[2, 1"):
        make(nn.Conv2d(1, 2, 3))
