"""optbench.training.train_step: micro-batches, clipping, what is measured, and the closure."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.assemble.experiment import Experiment
from optbench.training.clipping import Clipping

from .experiments import experiment, fit, player_of, trained, weights_of

# 1,293 examples: the 26th and last step of an epoch has 43, which four micro-batches split
# unevenly.
EPOCH = ["epochs=1", "batch_size=50", "optimizer=sgd", "optimizer.momentum=0.9", "monitor.every=0"]


@pytest.mark.parametrize("accumulate", [3, 4])
def test_accumulation_changes_nothing(accumulate: int) -> None:
    together, apart = trained(*EPOCH), trained(*EPOCH, f"accumulate={accumulate}")
    assert torch.dist(together, apart) <= 1e-6 * together.norm()
    assert not torch.equal(together, apart), "the micro-batches were not there"


@pytest.mark.parametrize("which", [["optimizer=sophia"], ["optimizer=nag"], ["wrapper=sam"]])
def test_accumulation_changes_nothing_where_the_optimizer_evaluates_the_loss(
    which: list[str],
) -> None:
    run = ["steps=30", "batch_size=50", *which, "optimizer.lr=0.01", "monitor.every=0"]
    together, apart = trained(*run), trained(*run, "accumulate=4")
    assert torch.dist(together, apart) <= 1e-5 * together.norm()
    assert not torch.equal(together, apart), "the micro-batches were not there"


def test_the_hessian_of_the_batch_times_a_vector() -> None:
    made = experiment("steps=3", "optimizer=sophia", "batch_size=20", "accumulate=3")
    player = player_of(made)
    seen: list[tuple[list[Tensor], list[Tensor]]] = []
    ours = player.optimizer.step

    def step(closure: Any) -> Any:
        wanted = player.parameters
        vectors = [torch.randn_like(p) for p in wanted]
        seen.append((vectors, closure.hvp(wanted, vectors)))
        return ours(closure)

    module = copy.deepcopy(player.module)
    (inputs, targets), *_ = batches_of(experiment("steps=3", "batch_size=20"), 1)
    player.optimizer.step = step  # type: ignore[method-assign]
    fit(made)
    vectors, products = seen[0]
    weights = list(module.parameters())
    loss = cross_entropy(module(inputs), targets)
    gradients = torch.autograd.grad(loss, weights, create_graph=True)
    expected = torch.autograd.grad(gradients, weights, vectors)
    for one, other in zip(products, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_the_hessian_of_a_loss_that_leaves_parameters_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """One micro-batch's loss is linear in the last bias, and has nothing else in it."""
    made = experiment("steps=1", "optimizer=sophia", "batch_size=20", "accumulate=2")
    player, seen = player_of(made), []
    loss_of, ours, calls = made.state.task.loss, player.optimizer.step, []

    def loss(modules: Any, batch: Any, name: str) -> Tensor:
        calls.append(1)
        return loss_of(modules, batch, name) if len(calls) % 2 else player.parameters[-1].sum()

    def step(closure: Any) -> Any:
        vectors = [torch.ones_like(p) for p in player.parameters]
        seen.extend(closure.hvp(player.parameters, vectors))
        return ours(closure)

    module = copy.deepcopy(player.module)
    (inputs, targets), *_ = batches_of(experiment("steps=1", "batch_size=20"), 1)
    monkeypatch.setattr(made.state.task, "loss", loss)
    player.optimizer.step = step  # type: ignore[method-assign]
    fit(made)
    weights = list(module.parameters())
    half = cross_entropy(module(inputs[:10]), targets[:10]) / 2
    gradients = torch.autograd.grad(half, weights, create_graph=True)
    expected = torch.autograd.grad(gradients, weights, [torch.ones_like(p) for p in weights])
    for one, other in zip(seen, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_accumulation_of_more_micro_batches_than_examples() -> None:
    few = ["epochs=1", "batch_size=10", "optimizer=sgd", "monitor.every=0"]  # at last 3 examples
    together, apart = trained(*few), trained(*few, "accumulate=5")
    assert torch.dist(together, apart) <= 1e-6 * together.norm()


def test_full_batch_and_single_sample_descent_are_settings() -> None:
    full = ["epochs=3", "batch_size=full", "optimizer=sgd", "optimizer.lr=0.5", "monitor.every=0"]
    made = experiment(*full)
    assert made.feed.steps_per_epoch == 1 and made.feed.batch_size == len(made.feed.indices) == 1293
    parts = trained(*full, "accumulate=7")
    whole = trained(*full)
    assert torch.dist(whole, parts) <= 1e-6 * whole.norm()
    single = experiment("steps=3", "batch_size=1", "optimizer=sgd")
    assert single.feed.steps_per_epoch == 1293


def test_accumulation_reports_the_loss_of_the_whole_batch() -> None:
    every = [*EPOCH[:-1], "monitor.every=1"]
    _, whole = fit(experiment(*every))
    _, parts = fit(experiment(*every, "accumulate=4"))
    for tag in ("train/loss", "grad_norm/total", "update_ratio/total"):
        assert parts.values(tag) == pytest.approx(whole.values(tag), rel=1e-4)


def batches_of(made: Experiment, count: int) -> list[tuple[Tensor, Tensor]]:
    """The first steps' whole batches."""
    stream = made.feed.epoch(0)
    return [next(iter(next(stream).micros)).batch for _ in range(count)]


def by_hand(
    made: Experiment, steps: int, clip_value: float | None, clip_norm: float | None
) -> Tensor:
    """What torch alone makes of the same batches."""
    module = copy.deepcopy(player_of(made).module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5, momentum=0.9, fused=True)
    for inputs, targets in batches_of(made, steps):
        optimizer.zero_grad()
        cross_entropy(module(inputs), targets).backward()
        if clip_value is not None:
            nn.utils.clip_grad_value_(module.parameters(), clip_value)
        if clip_norm is not None:
            nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
        optimizer.step()
    return nn.utils.parameters_to_vector(module.parameters()).detach()


@pytest.mark.parametrize(
    ("clip_value", "clip_norm"), [(None, None), (None, 0.3), (0.02, None), (0.02, 0.1)]
)
def test_clipping_equals_torch(clip_value: float | None, clip_norm: float | None) -> None:
    made = experiment(
        "steps=10",
        "optimizer=sgd",
        "optimizer.lr=0.5",
        "optimizer.momentum=0.9",
        f"clip.value={'null' if clip_value is None else clip_value}",
        f"clip.norm={'null' if clip_norm is None else clip_norm}",
    )
    expected = by_hand(made, 10, clip_value, clip_norm)
    fit(made)
    assert torch.equal(weights_of(made), expected)


def test_the_gradient_norm_is_measured_before_clipping() -> None:
    every = ["steps=1", "monitor.every=1", "optimizer=sgd", "optimizer.lr=0"]
    _, free = fit(experiment(*every))
    _, clipped = fit(experiment(*every, "clip.norm=0.001", "clip.value=0.0001"))
    assert free.values("grad_norm/total")[1] > 0.1
    assert clipped.values("grad_norm/total") == free.values("grad_norm/total")


def test_the_gradient_norm_is_measured_unscaled() -> None:
    every = ["steps=1", "monitor.every=1", "optimizer=sgd", "optimizer.lr=0"]
    _, full = fit(experiment(*every))
    _, half = fit(experiment(*every, "precision=fp16"))
    assert half.values("precision/loss_scale")[1] == 2**16
    expected = full.values("grad_norm/total")[1]
    assert half.values("grad_norm/total")[1] == pytest.approx(expected, rel=0.02)


def test_the_update_ratio_is_of_the_true_update() -> None:
    """With momentum and decay the update is far from lr times the gradient."""
    made = experiment(
        "steps=6",
        "monitor.every=6",
        "optimizer=sgd",
        "optimizer.momentum=0.9",
        "optimizer.weight_decay=0.1",
    )
    before: dict[int, dict[str, Tensor]] = {}

    def keep(step: int) -> None:
        named = player_of(made).module.named_parameters()
        before[step] = {name: p.detach().double().clone() for name, p in named}

    _, memory = fit(made, keep)
    for name, old in before[5].items():
        ratio = (before[6][name] - old).norm() / old.norm()
        assert memory.values(f"update_ratio/{name}")[6] == pytest.approx(float(ratio), rel=1e-3)
    old, new = (torch.cat([p.flatten() for p in before[s].values()]) for s in (5, 6))
    total = memory.values("update_ratio/total")[6]
    assert total == pytest.approx(float((new - old).norm() / old.norm()), rel=1e-3)
    gradient = memory.values("grad_norm/total")[6]
    assert abs(total * old.norm() / (player_of(made).lr * gradient) - 1) > 0.1


@pytest.mark.parametrize("optimizer", ["adamw", "lbfgs", "sparse_adam", "muon"])
def test_watching_changes_no_bit(optimizer: str) -> None:
    run = ["steps=12", f"optimizer={optimizer}", "model.dropout=0.2", "dataset.crop=1"]
    unseen = trained(*run, "monitor.every=0", "eval.every=0")
    seen = trained(*run, "monitor.every=1", "monitor.histograms=1", "eval.every=1")
    assert torch.equal(unseen, seen)


LBFGS = ["steps=5", "optimizer=lbfgs", "optimizer.lr=0.5", "batch_size=200"]


@pytest.mark.parametrize("clip", [None, 0.2])
def test_lbfgs_equals_a_bare_loop(clip: float | None) -> None:
    made = experiment(*LBFGS, f"clip.norm={'null' if clip is None else clip}")
    module = copy.deepcopy(player_of(made).module)
    optimizer = torch.optim.LBFGS(
        module.parameters(), lr=0.5, max_iter=5, history_size=10, line_search_fn="strong_wolfe"
    )
    for inputs, targets in batches_of(made, 5):

        def closure(inputs: Tensor = inputs, targets: Tensor = targets) -> Tensor:
            optimizer.zero_grad()
            loss = cross_entropy(module(inputs), targets)
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(module.parameters(), clip)
            return loss

        optimizer.step(closure)
    fit(made)
    expected = nn.utils.parameters_to_vector(module.parameters()).detach()
    assert torch.equal(weights_of(made), expected)


def test_lbfgs_sees_the_same_examples_in_every_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    made = experiment(*LBFGS, "dataset.crop=1", "dataset.flip=true", "accumulate=3")
    loss_of, seen = made.state.task.loss, []

    def recording(modules: Any, batch: tuple[Tensor, Tensor], player: str) -> Tensor:
        seen.append(batch[0])
        return loss_of(modules, batch, player)

    monkeypatch.setattr(made.state.task, "loss", recording)
    ends = []
    fit(made, lambda step: ends.append(len(seen)))
    for start, end in pairwise([0, *ends]):
        assert end - start > 3 and (end - start) % 3 == 0
        for number in range(start, end):
            assert torch.equal(seen[number], seen[start + (number - start) % 3])
    assert not torch.equal(seen[0], seen[ends[0]])


def test_gradients_are_none_after_a_step() -> None:
    made = experiment("steps=2")
    seen = []
    fit(made, lambda step: seen.extend(p.grad for p in player_of(made).parameters))
    assert len(seen) == 8 and set(seen) == {None}


def test_clipping_that_a_callback_brings_holds_from_then_on() -> None:
    made = experiment("steps=4", "optimizer=sgd", "optimizer.lr=0.1", "monitor.every=0")
    trainer = made.trainer()
    trainer.run(until=2)
    trainer.steps[0].clipping = Clipping(norm=1e-12)
    before = weights_of(made).clone()
    trainer.run()
    assert torch.dist(weights_of(made), before) < 1e-9
