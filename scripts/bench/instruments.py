"""What it costs to watch a run: the default measurements, and each instrument at four intervals.

Default measurements: steps of one run with and without, in turn (the ratio of their times), beside
what the watched run says itself (`monitor/percent` in its summary). Instruments: in each round a
step, then every instrument at that point; at an interval n a run takes 1 + instrument / (n step)
times as long, which a live run of a set confirms. Cockpit's published numbers are of a GPU.

Usage: python scripts/bench/instruments.py [section ...] [--rounds N] [--quick]
    sections: default, mlp, 3c3d; all by default
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch

import resnet
from common import parser, start
from optbench.errors import UserError
from optbench.instruments.base import Instrument
from optbench.instruments.look import Look
from optbench.instruments.names import CLASSES
from optbench.runs.live_probe import LiveProbe, instruments
from optbench.training.trainer import Trainer
from runs import ONLY_STEPS, Stretches, build, scratch
from timing import (
    CLOCKS,
    Candidate,
    Estimate,
    Row,
    alternate,
    estimate,
    machine_line,
    print_rows,
    ratio,
)

INTERVALS = (1, 4, 16, 64)
STEPS = 10
"""In a row, to time one."""

EVERY = 10
"""Steps from one default measurement to the next."""

MLP = [*ONLY_STEPS, "dataset=digits", "dataset.val_fraction=0", "threads=1"]
IMAGES = [*ONLY_STEPS, "dataset=synthetic", "dataset.shape=[1,28,28]", "dataset.train_size=54000"]
IMAGES += ["dataset.val_fraction=0", "model=mlp", "batch_size=64", "threads=1"]
CONV = [*ONLY_STEPS, "dataset=synthetic", "dataset.shape=[3,32,32]", "dataset.train_size=6400"]
CONV += ["dataset.val_fraction=0", "model=3c3d", "batch_size=128", "threads=1"]
CONV += ["optimizer=sgd", "optimizer.lr=0.01"]

ECONOMY = ("alpha", "grad_hist_1d", "inner_test", "norm_test", "ortho_test")
BUSINESS = (*ECONOMY, "tic_diag", "trace")
COCKPIT: Mapping[str, tuple[Sequence[str], Sequence[float]]] = {
    "economy": (ECONOMY, (1.5, 1.2, 1.0, 1.0)),
    "business": (BUSINESS, (2.0, 1.3, 1.1, 1.0)),
    "full": ((*BUSINESS, "hessian", "grad_hist_2d"), (21.0, 6.1, 2.3, 1.3)),
}
"""By Cockpit's name of a set: ours in it, and its published run time over an unwatched one's."""


def default(arguments: Namespace) -> None:
    """The default measurements on ResNet-18 and on the small MLP."""
    torch.set_num_threads(1)
    batch = 1 if arguments.quick else 32
    found = {
        "MLP 784-100-10, batch 64": (IMAGES, 5.0),
        "MLP 64-100-10 on the digits, batch 64": (MLP, 5.0),
        f"ResNet-18, batch {batch}": (resnet.overrides(batch, "threads=1"), 3.0),
    }
    rounds = 1 if arguments.quick else 10 * arguments.rounds
    for name, (overrides, target) in found.items():
        share, said = _share(overrides, rounds, 1 if name.startswith("ResNet") else 20)
        rows = [Row("longer than unwatched", share, "%", target)]
        rows.append(Row("as the run says itself", said, "%", target))
        head = f"default measurements, every {EVERY} steps, TensorBoard and JSONL"
        print_rows(f"{head}; {name}; {rounds} rounds", rows)


def _share(overrides: Sequence[str], rounds: int, times: int) -> tuple[Estimate, Estimate]:
    """Per cent that watched steps take longer, by alternating and by the run's own account."""
    with scratch() as folder:
        spec, experiment = build(overrides)
        plain = Stretches(spec, experiment, folder / "plain", monitor=0)
        _, other = build(overrides)
        watched = Stretches(spec, other, folder / "watched", monitor=EVERY)
        candidates: dict[str, Candidate] = {
            "plain": partial(_steps, plain, EVERY * times),
            "watched": partial(_steps, watched, EVERY * times),
        }
        found = alternate(candidates, rounds, warmup=1, clock=CLOCKS["cpu"])
        state = watched.trainer.state
        said = state.watching.told(state.progress.seconds)["monitor/percent"]
        plain.close()
        watched.close()
    over = ratio(found, "watched", "plain")
    return Estimate(100 * (over.value - 1), 100 * over.noise), Estimate(said, 0.0)


def _steps(stretches: Stretches, count: int) -> None:
    stretches(count)


def section(title: str, overrides: Sequence[str], arguments: Namespace) -> None:
    """Every instrument's cost on one model, as a table of docs/results/instruments.md."""
    rounds = 1 if arguments.quick else arguments.rounds
    if arguments.quick:
        overrides = [*overrides, "batch_size=4"]
    _, experiment = build([*overrides, "monitor.every=0"])
    trainer = experiment.trainer()
    trainer.run(until=2)
    only = arguments.only or (ECONOMY if arguments.quick else CLASSES)
    asked = [name for name in CLASSES if name in only]
    made = instruments(asked)
    lacking = {name: _lacking(each, trainer) for name, each in made.items()}
    names = [name for name, reason in lacking.items() if reason is None]
    candidates: dict[str, Candidate] = {"step": partial(_a_step, trainer)}
    for name in names:
        candidates[name] = partial(_measure, trainer, [name])
    groups = {name: [each for each in ours if each in names] for name, (ours, _) in COCKPIT.items()}
    for name, group in groups.items():
        candidates[f"set {name}"] = partial(_measure, trainer, group)
    found = alternate(candidates, rounds, warmup=int(rounds > 1), clock=CLOCKS["cpu"])
    step = estimate(found["step"])
    print(f"\n{title}; a step takes {1e3 * step.value:.3g} ms; medians of {rounds}\n", flush=True)
    print("| instrument | ms | " + " | ".join(f"every {n}" for n in INTERVALS) + " |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in candidates:
        if name != "step":
            _print_row(name, ratio(found, name, "step"), estimate(found[name]))
    for name, (ours, published) in COCKPIT.items():
        cells = " | ".join(f"{value:g}" for value in published)
        print(f"| Cockpit's {name}, published (GPU) | | {cells} |")
        if missing := [each for each in ours if each not in names]:
            print(f"set {name}: without {', '.join(missing)}", file=sys.stderr)
    for name, reason in lacking.items():
        if reason is not None:
            print(f"left out: {name}: {reason}", file=sys.stderr)
    _confirm(overrides, groups["economy"], 1 if arguments.quick else 64)


def _print_row(name: str, over: Estimate, seconds: Estimate) -> None:
    cells = [f"{1 + over.value / n:.3g}" for n in INTERVALS]
    noise = f" ± {1e3 * seconds.noise:.2g}" if seconds.noise else ""
    print(f"| {name} | {1e3 * seconds.value:.3g}{noise} | {' | '.join(cells)} |", flush=True)


def _confirm(overrides: Sequence[str], names: Sequence[str], steps: int) -> None:
    """What live runs say themselves of the economy set at these intervals."""
    cells = []
    for every in INTERVALS:
        _, experiment = build([*overrides, "monitor.every=0"])
        made = {player.name: instruments(names) for player in experiment.state.players}
        probe = LiveProbe(made, every, lambda line: print(line, file=sys.stderr))
        trainer = experiment.trainer(callbacks=[probe])
        trainer.run(until=max(steps, 2))
        told = experiment.state.watching.told(trainer.progress.seconds)
        cells.append(f"{1 + told['monitor/percent'] / 100:.3g}")
    print(f"| set economy, as live runs say themselves | | {' | '.join(cells)} |", flush=True)


def _lacking(instrument: Instrument, trainer: Trainer) -> str | None:
    """Why an instrument can't measure here, found out by trying."""
    try:
        look = Look(trainer)
        if (reason := instrument.lacking(look)) is None:
            instrument.measure(look)
        return reason
    except UserError as error:
        return str(error)


def _a_step(trainer: Trainer) -> float:
    """Seconds of one step, of several in a row: what a call of `run` takes is none of it."""
    begun = CLOCKS["cpu"]()
    trainer.run(until=trainer.progress.step + STEPS)
    return (CLOCKS["cpu"]() - begun) / STEPS


def _measure(trainer: Trainer, names: Sequence[str]) -> None:
    """Measure as a live run does: a look of its own, which instruments share."""
    look = Look(trainer)
    for each in instruments(names).values():
        each.measure(look)


def _sections() -> dict[str, Callable[[Namespace], None]]:
    return {
        "default": default,
        "mlp": partial(section, "MLP 64-100-10 on the digits, batch 64, AdamW", MLP),
        "3c3d": partial(section, "3c3d on 32x32 images, batch 128, SGD", CONV),
    }


def main() -> None:
    """Runs the sections that are named, all by default."""
    sections = _sections()
    options = parser(__doc__)
    options.add_argument("section", nargs="*", help=f"of {', '.join(sections)}; all by default")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", nargs="*", default=[], help="of the instruments")
    arguments = options.parse_args()
    for name in arguments.section:
        if name not in sections:
            options.error(f"{name}: no such section; choose from {', '.join(sections)}")
    print(machine_line("torch", "optbench"), flush=True)
    for name in arguments.section or sections:
        sections[name](arguments)


if __name__ == "__main__":
    start(main)
