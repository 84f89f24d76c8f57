"""What the live doctor costs: its share of a run's processor time, by what it does.

Usage: python scripts/bench/doctor.py [--quick]

The small MLP on digits is the hardest: a step takes a third of a millisecond. Measured inside of
one run, by the processor's clock around each call of the doctor's and of the watch of activations;
the clock's own cost, two calls each time, is in it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start, train
from optbench.monitor.activations import ActivationWatch
from optbench.runs.live_doctor import LiveDoctor
from optbench.training.trainer import Trainer
from timing import Row, estimate, machine_line, print_rows

WORKLOADS = {
    "MLP 64-100-10, batch 64": ["dataset=digits", "model=mlp", "batch_size=64"],
    "MLP 64-100-100-100-10, tanh": ["dataset=digits", "model=mlp", "model.activation=tanh",
                                    "model.hidden=[100,100,100]"],
    "GPT, 2 layers of 64": ["dataset=tiny_shakespeare", "model=gpt", "model.layers=2",
                            "model.width=64", "model.heads=2", "eval.every=0",
                            "dataset.val_fraction=0", "checkpoint.best=null"],
}  # fmt: skip
COMMON = ["device=cpu", "threads=1", "checkpoint=none", "eval.test=false"]
COMMON += ["monitor.tensorboard=false", "optimizer=adamw"]


class Spent:
    """Processor time by what it was spent on."""

    def __init__(self) -> None:
        self.rules = self.activations = self.all = 0.0

    def around(self, function: Callable[..., Any], what: str) -> Callable[..., Any]:
        """The function, its time added up."""

        def timed(*given: Any, **named: Any) -> Any:
            begun = time.process_time()
            try:
                return function(*given, **named)
            finally:
                setattr(self, what, getattr(self, what) + time.process_time() - begun)

        return timed


@contextmanager
def measured(spent: Spent) -> Iterator[None]:
    """Have the doctor's calls timed in the block."""
    kept = [
        (LiveDoctor, "write", "rules"),
        (ActivationWatch, "read", "activations"),
        (Trainer, "fit", "all"),
    ]
    before = [(cls, name, getattr(cls, name)) for cls, name, _ in kept]
    hook = ActivationWatch.hook
    try:
        for cls, name, what in kept:
            setattr(cls, name, spent.around(getattr(cls, name), what))

        def timed_hook(self: ActivationWatch, *given: Any) -> Any:
            return spent.around(hook(self, *given), "activations")

        setattr(ActivationWatch, hook.__name__, timed_hook)
        yield
    finally:
        setattr(ActivationWatch, hook.__name__, hook)
        for cls, name, function in before:
            setattr(cls, name, function)


def shares(line: list[str], steps: int, folder: Path) -> tuple[float, float]:
    """The shares of rules and activations in one run's time, in per cent."""
    spent = Spent()
    with measured(spent):
        train(*line, *COMMON, f"steps={steps}", folder=folder)
    return 100 * spent.rules / spent.all, 100 * spent.activations / spent.all


def main() -> None:
    """A table of all workloads."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5, help="runs of each")
    options.add_argument("--only", default="", help="workloads with this in their name")
    arguments = options.parse_args()
    steps, rounds = (50, 1) if arguments.quick else (2000, arguments.rounds)
    workloads = {name: line for name, line in WORKLOADS.items() if arguments.only in name}
    workloads = dict(list(workloads.items())[:1]) if arguments.quick else workloads
    print(machine_line("torch", "optbench"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        shares(next(iter(workloads.values())), 50, Path(folder) / "warm")  # what is imported
        for name, line in workloads.items():
            few = steps if "GPT" not in name else max(50, steps // 10)
            found = [shares(line, few, Path(folder) / f"{name}-{k}") for k in range(rounds)]
            rules, activations = (estimate([f[i] for f in found]) for i in (0, 1))
            both = estimate([sum(f) for f in found])
            rows += [
                Row(f"{name}: rules", rules, "%"),
                Row(f"{name}: activations", activations, "%"),
                Row(f"{name}: together", both, "%", 1.0),
            ]
    print_rows("the doctor's share of a run, monitor.every=10", rows)


if __name__ == "__main__":
    start(main)
