"""optbench.optim.first_order.sparse_adam"""

from __future__ import annotations

import torch
from torch import nn

from optbench.optim.first_order.sparse_adam import SparseAdam


def test_only_what_has_a_gradient_moves() -> None:
    weight = nn.Parameter(torch.ones(4, 2))
    optimizer = SparseAdam([weight], lr=0.1)
    for _ in range(3):
        weight.grad = torch.zeros(4, 2)
        weight.grad[1] = 2.0
        optimizer.step()
    moved = (weight != 1).all(dim=1)
    assert moved.tolist() == [False, True, False, False]
    assert (optimizer.state[weight]["exp_avg"] != 0).all(dim=1).tolist() == moved.tolist()


def test_moments_do_not_fade_where_there_is_no_gradient() -> None:
    """Adam's would; that is what lazy means."""
    weight = nn.Parameter(torch.ones(2))
    optimizer = SparseAdam([weight], lr=0.1)
    weight.grad = torch.tensor([1.0, 1.0])
    optimizer.step()
    kept = optimizer.state[weight]["exp_avg"].clone()
    weight.grad = torch.tensor([1.0, 0.0])
    optimizer.step()
    assert optimizer.state[weight]["exp_avg"][1] == kept[1]
    assert optimizer.state[weight]["exp_avg"][0] != kept[0]


def test_sparse_gradients_equal_dense_ones() -> None:
    dense, sparse = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))
    for _ in range(4):
        for weight in (dense, sparse):
            weight.grad = torch.tensor([1.0, 0.0, -2.0])
        sparse.grad = sparse.grad.to_sparse()  # type: ignore[union-attr]
        for weight in (dense, sparse):
            SparseAdam([weight], lr=0.1).step()
    assert torch.equal(dense, sparse)


def test_missing_gradients_and_a_closure() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = SparseAdam([used, unused], lr=0.1)

    def closure() -> torch.Tensor:
        loss = used.square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 2.0
    assert (unused == 1).all() and (used != 1).all()


def test_hooks_run_once() -> None:
    weight = nn.Parameter(torch.ones(2))
    torch.optim.SparseAdam([weight])  # torch hangs hooks on its step now
    optimizer, calls = SparseAdam([weight], lr=0.1), []
    optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    weight.grad = torch.ones(2)
    optimizer.step()
    assert calls == ["before"]
