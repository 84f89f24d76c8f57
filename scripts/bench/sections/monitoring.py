"""What a step costs more when gradient norms and update ratios of ResNet-18 are measured.

Nearly all of that is memory: the gradients and parameters are read, the parameters copied before
the step and compared after it. Two more rows tell what it is made of: torch's own calls for these
norms, alone, and the machine's bandwidth, as in optimizer_step.py.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

import torch
from torch import Tensor

import resnet
from runs import Stretches, build, scratch
from timing import CLOCKS, Candidate, Row, alternate, beyond, estimate, print_rows

ROUNDS = 60
TARGET_PERCENT = 3.0


def section(arguments: Namespace) -> None:
    """Steps with and without, in turn, of one run: the difference is a monitored step's price."""
    torch.set_num_threads(arguments.threads)
    batch = resnet.batch_for(arguments.step_ms)
    rounds, warmup = (2, 1) if arguments.quick else (ROUNDS, 3)
    clock = "cpu" if arguments.threads == 1 else "wall"
    with scratch() as folder:
        spec, experiment = build(resnet.overrides(batch, f"threads={arguments.threads}"))
        plain = Stretches(spec, experiment, folder / "plain", monitor=0)
        watched = Stretches(spec, experiment, folder / "watched", monitor=1)
        own, moved = _own_calls(experiment.state.players[0].parameters)
        candidates = {
            "plain": lambda: _one(plain),
            "watched": lambda: _one(watched),
            "own": own,
            "moved": moved,
        }
        times = alternate(candidates, rounds, warmup, CLOCKS[clock])
        plain.close()
        watched.close()
    step, extra = estimate(times["plain"]), beyond(times, "watched", "plain")
    share = extra.times(100 / step.value)
    print_rows(
        f"monitoring: ResNet-18, batch {batch} of 32x32, {arguments.threads} thread(s), "
        f"62 parameters, with TensorBoard and JSONL; {rounds} steps of each; {clock} time",
        [
            Row("a step", step.times(1e3), "ms"),
            Row("what a monitored step takes longer", extra.times(1e3), "ms"),
            Row("  torch's calls for that, alone", estimate(times["own"]).times(1e3), "ms"),
            Row("  its six streams by x += y", estimate(times["moved"]).times(2e3), "ms"),
            Row("monitoring every 10 steps", share.times(1 / 10), "%", TARGET_PERCENT),
            Row("monitoring every 50 steps", share.times(1 / 50), "%"),
        ],
    )


def _own_calls(parameters: Sequence[Tensor]) -> tuple[Candidate, Candidate]:
    """The norms in as many calls as there are; and x += y, of half as many streams as they need.

    Gradient, parameter, copy (written and read), and parameter again are five streams, and memory
    that is written is read first.
    """
    now = [parameter.detach().clone() for parameter in parameters]
    gradients, old = [torch.randn_like(p) for p in now], [torch.empty_like(p) for p in now]
    count = sum(parameter.numel() for parameter in now)
    x, y = torch.zeros(count), torch.ones(count)

    def own() -> None:
        torch._foreach_norm([*gradients, *now])
        torch._foreach_copy_(old, now)
        torch._foreach_sub_(old, now)
        torch._foreach_norm(old)

    def moved() -> None:
        x.add_(y)

    return own, moved


def _one(stretches: Stretches) -> None:
    stretches(1)
