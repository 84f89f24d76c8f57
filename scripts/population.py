"""Evaluations that gradient-free optimizers take to 1e-8 of a minimum, beside other packages'.

    python scripts/population.py [NAME ...] [--seeds 10] [--quick]

Four functions in 10 dimensions, each from one start, ours through the trainer: `es`, `cma_es`,
`pso` and `ga` with the settings in `OURS`. Beside them, where they are installed, `cma`, `cmaes`,
pyswarms and pygad, on the same functions from the same start. Printed are the median over the seeds
that got there, and how many did; evaluations are of members (the program's `passes` are a third of
them, and of one more a step where the model holds the mean).
"""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common import machine_line, parser, start, train
from optbench import Callback

GOAL, DIM = 1e-8, 10
EIGENVALUES = [2.0 * 10 ** (6 * i / (DIM - 1)) for i in range(DIM)]


@dataclass(frozen=True)
class Function:
    """A function, where it begins, how far it is searched at first, and how many evaluations it
    gets."""

    overrides: list[str]
    of: Callable[[Any], float]
    begin: float
    sigma: float
    most: int


def ellipsoid(x: Any) -> float:
    """Its condition is 10^6."""
    return float(0.5 * np.dot(EIGENVALUES, np.square(x)))


def rosenbrock(x: Any) -> float:
    """The valley."""
    x = np.asarray(x)
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


def rastrigin(x: Any) -> float:
    """A minimum near every integer."""
    return float((np.square(x) + 20 * np.sin(np.pi * np.asarray(x)) ** 2).sum())


FUNCTIONS = {
    "sphere": Function(
        ["model=quadratic", f"model.eigenvalues={[2.0] * DIM}"],
        lambda x: float(np.square(x).sum()),
        begin=3.0,
        sigma=1.0,
        most=50_000,
    ),
    "ellipsoid": Function(
        ["model=quadratic", f"model.eigenvalues={EIGENVALUES}"], ellipsoid, 3.0, 1.0, 50_000
    ),
    "rosenbrock": Function(["model=rosenbrock"], rosenbrock, 0.0, 0.5, 50_000),
    "rastrigin": Function(["model=rastrigin"], rastrigin, 3.3, 2.0, 300_000),
}
"""In 10 dimensions."""

OURS: dict[str, Callable[[Function], list[str]]] = {
    "cma_es": lambda f: [f"optimizer.sigma={f.sigma}", "optimizer.evaluate=best"],
    "pso": lambda f: [f"optimizer.spread={2 * f.sigma}"],
    "ga": lambda f: [f"optimizer.sigma={f.sigma}"],
    "es": lambda f: [
        "optimizer.population=20",
        "optimizer.sigma=1e-5",
        "optimizer.weight_decay=0",
        "optimizer.lr=0.1",
        "schedule=exponential",
        "schedule.decay_steps=100%",
        "schedule.rate=14",
    ],
}
"""Settings, where they are not the files'."""


class Watch(Callback):
    """Notes when a member, or the point in the model, is good enough, and ends the run then."""

    def __init__(self, most: int) -> None:
        self.reached: int | None = None
        self._most = most

    def on_step_end(self, trainer: Any, step: int) -> None:
        """Look at the best member, and at the point."""
        player = trainer.players[0]
        here = float(player.module.gap(player.module.x.detach()))
        measured = player.optimizer.measured
        if min(here, measured["best"]) <= GOAL:
            self.reached = int(measured["evaluations"])
            trainer.request_stop("reached")
        elif measured["evaluations"] >= self._most:
            trainer.request_stop("spent")


def ours(name: str, function: Function, seed: int, most: int) -> int | None:
    """Evaluations of a run of ours, None if it does not get there."""
    watch, settings = Watch(most), OURS[name](function)
    if name == "cma_es" and "model=rastrigin" in function.overrides:
        settings = [*settings, "optimizer.restarts=bipop"]
    each = {"cma_es": 10, "pso": 40, "ga": 48, "es": 21}[name]
    lines = [*function.overrides, f"model.dim={DIM}", f"model.start={function.begin}"]
    lines += [f"optimizer={name}", *settings, f"seed={seed}", f"steps={most // each}"]
    lines += ["eval.every=0", "monitor.every=0", "monitor.tensorboard=false", "threads=1"]
    lines += ["batch_size=1", "checkpoint=none", "device=cpu"]
    with tempfile.TemporaryDirectory() as folder:
        train(*lines, folder=Path(folder) / "run", callbacks=[watch])
    return watch.reached if watch.reached is not None and watch.reached <= most else None


class Counted:
    """A function that knows when it first came to the goal."""

    def __init__(self, of: Callable[[Any], float]) -> None:
        self._of, self.count, self.reached = of, 0, 0

    def __call__(self, x: Any) -> float:
        self.count += 1
        value = self._of(x)
        if value <= GOAL and not self.reached:
            self.reached = self.count
        return value


def by_cma(function: Function, seed: int, most: int) -> int | None:
    """The package `cma`, with BIPOP on Rastrigin."""
    cma = importlib.import_module("cma")
    counted = Counted(function.of)
    options = {"seed": seed + 1, "verbose": -9, "ftarget": GOAL, "maxfevals": most}
    restarts = 9 if function.of is rastrigin else 0
    begin = DIM * [function.begin]
    cma.fmin(counted, begin, function.sigma, options, restarts=restarts, bipop=restarts > 0)
    return counted.reached or None


def by_cmaes(function: Function, seed: int, most: int) -> int | None:
    """The package `cmaes`; restarts are left to its user, so none here."""
    if function.of is rastrigin:
        return None
    counted = Counted(function.of)
    made = importlib.import_module("cmaes").CMA(
        mean=np.full(DIM, function.begin), sigma=function.sigma, seed=seed
    )
    while not counted.reached and counted.count < most and not made.should_stop():
        made.tell([(x, counted(x)) for x in (made.ask() for _ in range(made.population_size))])
    return counted.reached or None


def by_pyswarms(function: Function, seed: int, most: int) -> int | None:
    """pyswarms' local best in a ring, with the same constriction and the same first box."""
    np.random.seed(seed)
    counted = Counted(function.of)
    chi = 0.7298
    options = {"c1": 2.05 * chi, "c2": 2.05 * chi, "w": chi, "k": 3, "p": 2}
    random = np.random.RandomState(seed)
    points = function.begin + 2 * function.sigma * random.uniform(-1, 1, (40, DIM))
    made = importlib.import_module("pyswarms.single").LocalBestPSO(
        40, DIM, options, init_pos=points, ftol=-np.inf
    )
    made.optimize(lambda xs: np.array([counted(x) for x in xs]), most // 40, verbose=False)
    return counted.reached or None


def by_pygad(function: Function, seed: int, most: int) -> int | None:
    """pygad with its defaults, in the same first box, and as many members."""
    counted = Counted(function.of)
    random = np.random.RandomState(seed)
    points = function.begin + function.sigma * random.normal(size=(50, DIM))
    made = importlib.import_module("pygad").GA(
        num_generations=most // 48,
        num_parents_mating=10,
        fitness_func=lambda _, x, __: -counted(x),
        initial_population=points,
        parent_selection_type="tournament",
        keep_elitism=2,
        random_seed=seed,
        suppress_warnings=True,
        on_generation=lambda _: "stop" if counted.reached else None,
    )
    made.run()
    return counted.reached or None


PACKAGES = {"cma": by_cma, "cmaes": by_cmaes, "pyswarms": by_pyswarms, "pygad": by_pygad}


RESTART = ("`cma_es`", "package cma")
"""Rows that go on with restarts, and so get more evaluations on Rastrigin."""


def cases(quick: bool) -> Iterator[tuple[str, Callable[[Function, int, int], int | None]]]:
    """Ours and those packages that there are."""
    for name in OURS:
        yield f"`{name}`", lambda f, seed, most, name=name: ours(name, f, seed, most)  # type: ignore[misc]
    for name, solve in PACKAGES.items():
        if importlib.util.find_spec(name) and not quick:
            yield f"package {name}", solve


def cell(found: list[int | None]) -> str:
    """The median of those that got there, and how many did."""
    there = [count for count in found if count is not None]
    if not there:
        return f"none of {len(found)}"
    middle = f"{statistics.median(there):,.0f}"
    return middle if len(there) == len(found) else f"{middle} ({len(there)} of {len(found)})"


def main() -> None:
    """Prints the table, row by row."""
    command = parser(__doc__)
    command.add_argument("names", nargs="*", help="of the rows, such as cma_es; default: all")
    command.add_argument("--seeds", type=int, default=10)
    options = command.parse_args()
    seeds = 1 if options.quick else options.seeds
    warnings.simplefilter("ignore")
    print(f"{machine_line()}; {seeds} seeds\n")
    print("| | " + " | ".join(FUNCTIONS) + " |")
    print("| --- " * (len(FUNCTIONS) + 1) + "|")
    for name, solve in cases(options.quick):
        if options.names and not any(
            each in name.split("`") + name.split() for each in options.names
        ):
            continue
        cells = []
        for function in FUNCTIONS.values():
            most = function.most if name in RESTART else min(function.most, 100_000)
            most = 200 if options.quick else most
            cells.append(cell([solve(function, seed, most) for seed in range(seeds)]))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    start(main)
