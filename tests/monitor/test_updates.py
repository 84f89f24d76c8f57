"""optbench.monitor.updates"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from optbench.monitor.updates import UpdateWatch


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Tanh(), nn.Linear(7, 3))


def watched_step(module: nn.Module, clip: float | None = None) -> tuple[dict[str, float], ...]:
    """What the watch reads of one AdamW step, and what a loop over parameters finds."""
    named = dict(module.named_parameters())
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.3)
    watch = UpdateWatch(list(named), list(named.values()))
    module(torch.randn(20, 5)).square().sum().backward()
    naive: dict[str, float] = {}
    for name, parameter in named.items():
        assert parameter.grad is not None
        naive[f"grad_norm/{name}"] = parameter.grad.double().norm().item()
        naive[f"param_norm/{name}"] = parameter.detach().double().norm().item()
    old = {name: parameter.detach().double().clone() for name, parameter in named.items()}
    watch.see_gradients()
    if clip is not None:
        nn.utils.clip_grad_norm_(module.parameters(), clip)
    watch.see_before()
    optimizer.step()
    watch.see_after()
    for name, parameter in named.items():
        if old[name].norm() > 0:
            change = (parameter.detach().double() - old[name]).norm() / old[name].norm()
            naive[f"update_ratio/{name}"] = change.item()
    return watch.read(), naive, totals(naive, named, old)


def totals(
    naive: dict[str, float], named: dict[str, nn.Parameter], old: dict[str, torch.Tensor]
) -> dict[str, float]:
    whole = torch.cat([tensor.flatten() for tensor in old.values()])
    now = torch.cat([p.detach().double().flatten() for p in named.values()])
    gradients = torch.tensor([v for tag, v in naive.items() if tag.startswith("grad_norm")])
    return {
        "grad_norm/total": gradients.norm().item(),
        "param_norm/total": whole.norm().item(),
        "update_ratio/total": ((now - whole).norm() / whole.norm()).item(),
    }


@pytest.mark.parametrize("clip", [None, 0.01])
def test_it_equals_a_loop_over_the_parameters(clip: float | None) -> None:
    read, naive, total = watched_step(network(), clip)
    assert set(read) == set(naive) | set(total)
    assert read == pytest.approx(naive | total, rel=1e-4)


def test_the_ratio_is_left_out_where_the_old_norm_is_zero() -> None:
    """BatchNorm's bias starts at 0."""
    read, _, _ = watched_step(network())
    assert "update_ratio/1.bias" not in read and "update_ratio/1.weight" in read
    assert read["param_norm/1.bias"] == 0.0


def test_only_totals() -> None:
    parameter = nn.Parameter(torch.tensor([3.0, 4.0]))
    watch = UpdateWatch(["p"], [parameter], per_parameter=False)
    parameter.grad = torch.tensor([0.0, 2.0])
    watch.see_gradients()
    watch.see_before()
    with torch.no_grad():
        parameter.copy_(torch.tensor([3.0, 3.0]))
    watch.see_after()
    expected = {"grad_norm/total": 2.0, "param_norm/total": 5.0, "update_ratio/total": 0.2}
    assert watch.read() == pytest.approx(expected)


def test_a_missing_gradient_has_norm_zero() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    watch = UpdateWatch(["used", "unused"], [used, unused])
    used.grad = torch.tensor([3.0, 4.0])
    watch.see_gradients()
    watch.see_before()
    watch.see_after()
    read = watch.read()
    assert read["grad_norm/unused"] == 0.0
    assert read["grad_norm/total"] == read["grad_norm/used"] == 5.0


def test_a_sparse_gradient_is_summed_before_its_norm_is_taken() -> None:
    parameter = nn.Parameter(torch.zeros(4, 2))
    twice = torch.tensor([[1, 1]])
    parameter.grad = torch.sparse_coo_tensor(twice, torch.ones(2, 2), (4, 2), check_invariants=True)
    watch = UpdateWatch(["rows"], [parameter])
    watch.see_gradients()
    watch.see_before()
    watch.see_after()
    assert watch.read()["grad_norm/rows"] == pytest.approx(8**0.5)


def test_what_is_not_finite_is_read_as_such() -> None:
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.tensor([float("nan"), 1.0])
    watch = UpdateWatch(["p"], [parameter])
    watch.see_gradients()
    watch.see_before()
    watch.see_after()
    assert watch.read()["grad_norm/total"] != watch.read()["grad_norm/total"]


def test_it_can_be_used_again() -> None:
    parameter = nn.Parameter(torch.ones(1))
    watch = UpdateWatch(["p"], [parameter])
    ratios = []
    for size in (0.5, 0.25):
        parameter.grad = torch.ones(1)
        watch.see_gradients()
        watch.see_before()
        with torch.no_grad():
            parameter.mul_(1 - size)
        watch.see_after()
        ratios.append(watch.read()["update_ratio/p"])
    assert ratios == pytest.approx([0.5, 0.25])


def test_it_changes_nothing() -> None:
    watched, free = network(), network()
    watched_step(watched)
    torch.manual_seed(0)
    network()
    optimizer = torch.optim.AdamW(free.parameters(), lr=0.1, weight_decay=0.3)
    free(torch.randn(20, 5)).square().sum().backward()
    optimizer.step()
    for one, other in zip(watched.parameters(), free.parameters(), strict=True):
        assert torch.equal(one, other)
