"""How much faster runs could be at all if they were trained at once: their products alone.

Usage: OPTBENCH_DATA=... python scripts/bench/population_bound.py [--rounds N] [--quick]

Whatever trains K members at once has to multiply each member's matrices, and does no less than
that. So a step of one run over its products alone is a bound, one thread, of what members at once
may gain by step; with products one by one (`mm`), of all members in one call (`bmm`) and, where
optbench uses it, by OpenBLAS, of which the fastest counts. Updates, activations, losses and data
are taken to cost nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import Tensor

from common import parser, start
from optbench.training.together import openblas
from runs import ONLY_STEPS, Stretches, build, fashion, scratch
from timing import CLOCKS, Row, alternate, estimate, machine_line, print_rows, ratio

STEPS, MEMBERS = 100, 8


class Case(NamedTuple):
    """A workload, and the matrices [n, k] and [k, m] that one step multiplies, as (n, k, m)."""

    overrides: Sequence[str]
    products: Sequence[tuple[int, int, int]]
    dtype: torch.dtype = torch.float32


def layers(batch: int, *widths: int) -> list[tuple[int, int, int]]:
    """The products of linear layers: forward, of the weights' gradients, and of the inputs'."""
    found = []
    for number, (into, out) in enumerate(pairwise(widths)):
        found += [(batch, into, out), (out, batch, into)]
        found += [(batch, out, into)] if number else []
    return found


CASES = {
    "digits_mlp": Case(["workload=digits_mlp"], layers(64, 64, 100, 10)),
    "fmnist_mlp": Case(["workload=fmnist_mlp", *fashion()], layers(128, 784, 256, 128, 10)),
    "quadratic_deep": Case(["workload=quadratic_deep"], [(128, 100, 100)] * 2, torch.float64),
}


def main() -> None:
    """Each workload."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=9, help="that count")
    arguments = options.parse_args()
    print(machine_line("torch", "optbench"))
    torch.set_num_threads(1)
    rounds, steps = (1, 2) if arguments.quick else (arguments.rounds, STEPS)
    for name, case in CASES.items():
        measure(name, case, rounds, steps)


def measure(name: str, case: Case, rounds: int, steps: int) -> None:
    """A run's steps and so many times its products, for a member each, in turn."""
    with scratch() as folder:
        lines = [*case.overrides, *ONLY_STEPS, "epochs=null", "threads=1", "monitor.every=0"]
        run = Stretches(*build(lines), folder / name)

        def step() -> None:
            run(steps)

        ways = products(case, steps)
        candidates = {"steps": step, **ways}
        times = alternate(candidates, rounds, clock=CLOCKS["cpu"])
        run.close()
    rows = [Row(each, estimate(times[each]).times(1e6 / steps), "us a step") for each in times]
    rows += [Row(f"most by {each}", ratio(times, "steps", each), "times faster") for each in ways]
    print_rows(f"{name}, one thread; {MEMBERS} members; cpu time", rows)


def products(case: Case, steps: int) -> dict[str, Callable[[], None]]:
    """The products of so many steps: of one member after the other, and of all in one call."""
    pairs: list[tuple[Tensor, Tensor]] = [
        (
            torch.randn(MEMBERS, n, k, dtype=case.dtype),
            torch.randn(MEMBERS, k, m, dtype=case.dtype),
        )
        for n, k, m in case.products
    ]
    alone = [(left[i], right[i]) for i in range(MEMBERS) for left, right in pairs]

    def one_by_one() -> None:
        for _ in range(max(1, steps // MEMBERS)):
            for left, right in alone:
                torch.mm(left, right)

    def at_once(multiply: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], None]:
        def all_of_them() -> None:
            for _ in range(max(1, steps // MEMBERS)):
                for left, right in pairs:
                    multiply(left, right)

        return all_of_them

    found = {"products": one_by_one, "products at once": at_once(torch.bmm)}
    if openblas.is_faster():
        found["products by OpenBLAS"] = at_once(openblas.products)
    return found


if __name__ == "__main__":
    start(main)
