"""How much memory the training takes, by part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from optbench.check.base import Finding, failed, passed, warned
from optbench.check.setup import Setup
from optbench.check.short import short_run
from optbench.errors import memory_wanting
from optbench.training.batches import BatchStream
from optbench.training.room import free_bytes

SHARE = 0.05
"""Of the time, in which the largest batch is looked for."""
MIB, GIB = 2**20, 2**30
FULL = 0.9
"""Of what is free, above which it is said to be short."""


class Memory:
    """Parameters, gradients, optimizer state, activations; the largest batch."""

    name = "memory"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        parts = by_part(setup)
        fixed = parts["parameters"] + parts["gradients"] + parts["state"]
        an_example = parts["activations"] / max(1, setup.few)
        whole = an_example * setup.feed.batch_size / setup.config.accumulate
        free = free_bytes(setup.device)
        shares = ", ".join(
            f"{name} {_size(value)}" for name, value in {**parts, "activations": whole}.items()
        )
        most = _largest(setup, fixed, an_example, free)
        evidence = f"{shares}; {_size(free)} free; the largest batch {most}"
        total = fixed + whole
        numbers = {f"{name}_bytes": float(value) for name, value in parts.items()}
        what = f"a step takes about {_size(total)}"
        if free and total > free:
            cause = "activations grow with the batch"
            remedy = f"accumulate={2 ** max(1, round(whole / max(1.0, free - fixed)).bit_length())}"
            yield failed(what, evidence, cause, remedy)
        elif free and total > FULL * free:
            yield warned(what, evidence, "little is left", "activation_checkpointing=true")
        else:
            yield replace(passed(what, evidence), numbers=numbers)


def by_part(setup: Setup) -> dict[str, float]:
    """Return bytes of parameters, gradients, optimizer state and activations of a few examples."""
    parameters = [p for player in setup.players for p in player.module.parameters()]
    wanted = [p for player in setup.players for p in player.parameters]
    batch = setup.batch(setup.few)
    saved: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in parameters}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    state = setup.experiment.state
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        for player in setup.players:
            with setup.looking(), state.precision.forward():
                state.task.loss(setup.modules, batch, player.name)
    with setup.put_back():
        few = BatchStream(setup.feed.source, setup.feed.indices[: setup.few], setup.few)
        feed = setup.feed if setup.feed.lanes else few
        try:
            short_run(setup.experiment, max(p.every for p in setup.players), feed=feed)
            kept = sum(player.state_bytes for player in setup.players)
        except RuntimeError:
            kept = 0
    gradients = [p for p in wanted if any(q.needs.gradients for q in setup.players)]
    return {
        "parameters": float(sum(p.numel() * p.element_size() for p in parameters)),
        "gradients": float(sum(p.numel() * p.element_size() for p in gradients)),
        "state": float(kept),
        "activations": float(sum(saved.values())),
    }


def _largest(setup: Setup, fixed: float, an_example: float, free: float) -> str:
    """Return the largest batch that fits: bisected on a GPU, computed elsewhere."""
    if not an_example or not free or setup.feed.lanes:
        return "unknown"
    count = int(max(0.0, FULL * free - fixed) / an_example)
    if setup.device.type != "cuda":
        return f"{min(count, len(setup.feed.indices)):,} (computed)"
    low, high = 0, min(2 * count, len(setup.feed.indices))
    left = setup.deadline(SHARE)
    while low < high and left() > 0 and high - low > max(1, low // 16):
        middle = (low + high + 1) // 2
        if _fits(setup, middle):
            low = middle
        else:
            high = middle - 1
    return f"{low:,} (tried)"


def _fits(setup: Setup, count: int) -> bool:
    try:
        setup.loss_and_gradients(setup.batch(count))
    except (RuntimeError, MemoryError) as error:
        if memory_wanting(error) is None:
            raise
        torch.cuda.empty_cache()
        return False
    return True


def _size(count: float) -> str:
    if count >= GIB:
        return f"{count / GIB:.3g} GiB"
    return f"{count / MIB:.3g} MiB" if count >= MIB / 10 else f"{count / 1024:.3g} KiB"
