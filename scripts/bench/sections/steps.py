"""What a step of optbench's trainer, and of others, costs beyond a bare loop's."""

from __future__ import annotations

import io
import itertools
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from optbench.data.huge_pages import room
from peers import Problem, accelerated, data_loader, lightning
from runs import MADE_UP, ONLY_STEPS, SPLIT, Stretches, all_examples, build, fashion, scratch
from timing import CLOCKS, Candidate, Row, alternate, beyond, estimate, print_rows, share_beyond

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1, fused=True),
    "adamw": lambda parameters: torch.optim.AdamW(parameters, lr=1e-3, fused=True),
}
BARE, BARE_HUGE = "bare loop", "bare loop, examples on huge pages"
MEASURED = "bare loop, its norms every 10"
"""Norms of gradients, weights and changes by torch's own calls for many tensors, and no records."""
OFF, ON, LIVE = "optbench, off", "optbench, TensorBoard", "optbench, bar"
ACCELERATE, LIGHTNING = "accelerate, batched fetch", "lightning, TensorBoard"
TARGETS = {OFF: 30.0, ON: 60.0}
"""In microseconds, on one machine; other machines are told by the shares of PEERS."""

PEERS = {OFF: (ACCELERATE, 0.05), ON: (LIGHTNING, 0.04), MEASURED: (LIGHTNING, None)}
"""Whose overhead one is a share of, and the share aimed at."""


def bare(problem: Problem, measured: bool = False) -> Callable[[int], None]:
    """The loop that a person writes who wants nothing but the steps.

    Args:
        problem: what is trained.
        measured: every tenth step take its gradients' norms, its weights' and their changes'.
    """
    images, labels = problem.images, problem.labels
    model, optimizer = problem.fresh()

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            order = problem.order()
            for start in range(0, len(order), problem.batch_size):
                picked = order[start : start + problem.batch_size]
                yield images.index_select(0, picked), labels.index_select(0, picked)

    stream = batches()
    weights = [parameter.detach() for parameter in model.parameters()]
    old = [torch.empty_like(each) for each in weights]

    def measured_step() -> None:
        if next(count) % 10:
            optimizer.step()
            return
        torch._foreach_norm([p.grad for p in model.parameters() if p.grad is not None])
        torch._foreach_copy_(old, weights)
        torch._foreach_norm(old)
        optimizer.step()
        torch._foreach_sub_(old, weights)
        torch._foreach_norm(old)

    count = itertools.count(1)
    step = measured_step if measured else optimizer.step

    def run(steps: int) -> None:
        for inputs, targets in itertools.islice(stream, steps):
            loss = cross_entropy(model(inputs), targets)
            loss.backward()
            step()
            optimizer.zero_grad(set_to_none=True)

    return run


def _on_huge_pages(problem: Problem) -> Problem:
    """The problem as optbench has it in memory."""
    place = room(problem.images.shape, problem.images.device)
    return problem if place is None else replace(problem, images=place.copy_(problem.images))


def network() -> nn.Module:
    """784-100-10."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))


def section(arguments: Namespace) -> None:
    """One table an optimizer."""
    torch.set_num_threads(1)
    for name in OPTIMIZERS:
        with scratch() as folder:
            _table(name, folder, arguments)


def _table(name: str, folder: Path, arguments: Namespace) -> None:
    problem, ours = _ours(name, folder, arguments)
    steps, clock = problem.steps_per_epoch, CLOCKS[arguments.clock]
    loops: dict[str, Callable[[int], float | None]] = {BARE: bare(problem)}
    loops[BARE_HUGE] = bare(_on_huge_pages(problem))
    loops[MEASURED] = bare(problem, measured=True)
    loops |= {label: _whole(stretches) for label, stretches in ours.items()}
    loops["DataLoader(TensorDataset)"] = data_loader(problem)
    if not arguments.no_peers and _there("accelerate"):
        loops[ACCELERATE] = accelerated(problem)
    if not arguments.no_peers and _there("lightning"):
        loops["lightning, stripped"] = lightning(problem, None, clock)
        loops[LIGHTNING] = lightning(problem, folder, clock)

    def candidate(loop: Callable[[int], float | None]) -> Candidate:
        return lambda: loop(steps)

    candidates = {label: candidate(loop) for label, loop in loops.items()}
    times = alternate(candidates, arguments.rounds, clock=clock)
    for stretches in ours.values():
        stretches.close()
    base = estimate(times[BARE]).times(1e6 / steps)
    rows = [Row(BARE, base, "us a step")]
    for label in loops:
        if label != BARE:
            over = beyond(times, label, BARE).times(1e6 / steps)
            rows.append(Row(label, over, "us over bare", TARGETS.get(label)))
    for label, (peer, aim) in PEERS.items():
        if peer in times:
            share = share_beyond(times, label, peer, BARE)
            rows.append(Row(f"{label}, to {peer}", share, "of its overhead", aim))
    print_rows(
        f"steps: MLP 784-100-10, batch 64, one thread, {name} (fused); "
        f"{arguments.rounds} rounds of {steps} steps, TensorBoard every 10; {arguments.clock} time",
        rows,
    )


def _there(peer: str) -> bool:
    """Whether a peer is installed; it is said if not."""
    found = find_spec(peer) is not None
    if not found:
        print(f"{peer} is not installed and is left out: pip install 'optbench[bench]'")
    return found


def _ours(name: str, folder: Path, arguments: Namespace) -> tuple[Problem, dict[str, Stretches]]:
    """The problem as tensors, and optbench's runs of it."""
    data = [*MADE_UP, "dataset.train_size=640"] if arguments.quick else fashion()
    overrides = [*data, *ONLY_STEPS, *SPLIT, "model=mlp", f"optimizer={name}"]
    overrides += ["batch_size=64", "threads=1"]
    ours = {}
    for label, every in ((OFF, 0), (ON, 10)):
        spec, experiment = build([*overrides, f"monitor.every={every}"])
        ours[label] = Stretches(spec, experiment, folder / label)
    if arguments.terminal:
        spec, experiment = build([*overrides, "monitor.every=10"])
        console = Console(file=io.StringIO(), force_terminal=True, width=120)
        ours[LIVE] = Stretches(spec, experiment, folder / LIVE, live=console)
    images, labels = all_examples(experiment)
    return Problem(images, labels, experiment.feed.indices[:], 64, network, OPTIMIZERS[name]), ours


def _whole(stretches: Stretches) -> Callable[[int], None]:
    """By the clock on the wall: what events take counts too."""

    def run(steps: int) -> None:
        stretches(steps)

    return run
