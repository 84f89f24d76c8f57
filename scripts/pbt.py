"""Population-based training beside random search that takes as many steps, on the test set.

    python scripts/pbt.py [--workload NAME ...] [--seeds N ...] [--folder runs/pbt]
                          [--out docs/results/pbt.md] [--quick]

Each seed is a pair: a population in rounds, and one of a single round, which is random search: the
same first draws, trained to the end with nobody copied. What either chose is scored on the test set
once, and then trained from scratch with seeds that neither had seen, to tell luck from settings.
With --folder a seed that is done is not done again, so several processes may share the work.
"""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import optbench
from common import machine_line, parser, start, succeeded, train
from optbench.compose.composer import hydra_session
from optbench.files import write_atomically
from optbench.population import pbt as population
from optbench.population.replay import write_replay
from optbench.population.report import line_of
from optbench.runs.log import Log
from optbench.runs.process import left_as_found
from optbench.statistics.sign_flip import (
    sign_flip_coverage,
    sign_flip_interval,
    sign_flip_test,
)

if TYPE_CHECKING:
    from optbench.population.pbt import Evolved

LR, DECAY = "{log: [1e-4, 1e-2]}", "{log: [5e-3, 1.0]}"
SPACE = f"search={{optimizer.lr: {LR}, optimizer.weight_decay: {DECAY}}}"
"""Of space=adamw, without beta1: a schedule gives both back round by round."""
RUN = ["optimizer=adamw", "threads=1", "device=cpu", "eval.every=0", "monitor.every=0"]
RUN += ["monitor.tensorboard=false", "checkpoint=final"]
METRIC = "val/loss"
LOSS, ACCURACY = "test/loss", "test/accuracy"
AGAIN, FIRST_NEW = 3, 1000
"""From scratch: how many seeds, and the first one of seed 0's."""


@dataclass(frozen=True)
class Study:
    """What is searched on a workload.

    Attributes:
        lines: of every run.
        members: how many settings are drawn.
        rounds: of the population.
    """

    lines: Sequence[str]
    members: int = 16
    rounds: int = 8


STUDIES = {
    "digits_mlp": Study(["workload=digits_mlp"]),
    "digits_mlp, cosine": Study(["workload=digits_mlp", "schedule=cosine"]),
    "fmnist_mlp": Study(["workload=fmnist_mlp", "epochs=4"]),
}
QUICK = Study(["model=mlp", "dataset=digits", "model.hidden=[8]", "steps=8"], 4, 2)


@dataclass(frozen=True)
class Arm:
    """What a population came to, or random search.

    Attributes:
        steps: of all its runs, as their summaries have them.
        seconds: of the processor.
        setting: of the chosen run, in its last round.
        copied: how often one in its line of ancestors copied another.
        chosen_by: its validation loss, by which it was chosen.
        loss, accuracy: its own, of the test set.
        losses, accuracies: of the same set, trained from scratch with each new seed.
    """

    steps: int
    seconds: float
    setting: dict[str, float]
    copied: int
    chosen_by: float
    loss: float
    accuracy: float
    losses: list[float]
    accuracies: list[float]


@dataclass(frozen=True)
class Pair:
    """A seed's."""

    seed: int
    pbt: Arm
    random: Arm


def main() -> None:
    """The pairs, one after the other, and the page, as far as it is known after each."""
    options = parser(__doc__)
    options.add_argument("--workload", nargs="+", choices=STUDIES, help="some of them")
    options.add_argument("--seeds", nargs="+", type=int, default=list(range(8)), metavar="N")
    options.add_argument("--folder", type=Path, help="keeps what is done; default: nothing is kept")
    options.add_argument("--out", type=Path, help="a file for the page")
    asked = options.parse_args()
    studies = {name: STUDIES[name] for name in asked.workload or STUDIES}
    seeds, machine = asked.seeds, machine_line()
    if asked.quick:
        studies, seeds = {"quick": QUICK}, [0, 1]
    pairs: dict[str, list[Pair]] = {name: [] for name in studies}
    with tempfile.TemporaryDirectory() as scratch:
        for name, study in studies.items():
            root = (asked.folder or Path(scratch)) / name.replace(", ", "-")
            for seed in seeds:
                pairs[name].append(done(study, seed, root))
                print(f"{name} {row(pairs[name][-1])}", flush=True)
                if asked.out is not None:
                    write_atomically(asked.out, page(studies, pairs, machine))
    print(page(studies, pairs, machine))


def done(study: Study, seed: int, root: Path) -> Pair:
    """A seed's pair: what a file says of it, or else what comes of it now."""
    kept, folder = root / f"{seed}.json", root / str(seed)
    said = {"study": asdict(study), "run": [*RUN, SPACE, METRIC], "new": [FIRST_NEW, AGAIN]}
    if kept.is_file():
        found = json.loads(kept.read_text(encoding="utf-8"))
        if found["asked"] != said:
            raise SystemExit(f"{kept}: of other settings; another --folder, or remove it")
        return Pair(seed, Arm(**found["pbt"]), Arm(**found["random"]))
    if folder.exists():  # cut short
        shutil.rmtree(folder)
    pair = Pair(
        seed,
        pbt=arm(study, seed, folder / "pbt"),
        random=arm(replace(study, rounds=1), seed, folder / "random"),
    )
    check(folder)
    write_atomically(kept, json.dumps({"asked": said, **asdict(pair)}, indent=1))
    return pair


def check(folder: Path) -> None:
    """Raise unless both began with the same settings."""
    runs = {path.name: optbench.open_run(path) for path in folder.glob("random/0-*")}
    for name, run in runs.items():
        other = optbench.open_run(folder / "pbt" / name)
        assert run.config["optimizer"] == other.config["optimizer"], (folder, name)
        assert run.config["seed"] == other.config["seed"], (folder, name)


def arm(study: Study, seed: int, folder: Path) -> Arm:
    """A population from its beginning to the test set, and its best one again from scratch."""
    began = time.process_time()
    evolved = evolve(study, seed, folder)
    seconds = time.process_time() - began
    jobs = evolved.jobs
    line = line_of(jobs, study.rounds - 1)
    best = optbench.open_run(jobs.at(line[-1].number, line[-1].member).path)
    scores = best.evaluate(at="last")
    assert scores[METRIC] == line[-1].score, "chosen by another value than that of the end"
    command = shlex.split(write_replay(jobs, evolved.base, line).command)[2:]
    again = from_scratch(command, seed, folder)
    taken = steps(evolved)
    for path in folder.glob("*-*/checkpoints"):
        if path.parent != best.path:
            shutil.rmtree(path)
    return Arm(
        steps=taken,
        seconds=seconds,
        setting={key: float(value) for key, value in line[-1].own.values.items()},
        copied=sum(each.own.copied for each in line),
        chosen_by=scores[METRIC],
        loss=scores[LOSS],
        accuracy=scores[ACCURACY],
        losses=[each[LOSS] for each in again],
        accuracies=[each[ACCURACY] for each in again],
    )


def evolve(study: Study, seed: int, folder: Path) -> Evolved:
    """`optbench pbt`, to its end."""
    lines = [*study.lines, *RUN, SPACE, f"metric={METRIC}", f"seed={seed}"]
    lines += [f"members={study.members}", f"rounds={study.rounds}"]
    with hydra_session(None) as composer, left_as_found():
        evolved = population.pbt(composer, lines, str(folder), Log(tells=False))
    if evolved.signal:
        signal.raise_signal(evolved.signal)
    if not evolved.jobs.done or evolved.jobs.lost:
        raise SystemExit(f"{folder}: not all rounds are over")
    return evolved


def steps(evolved: Evolved) -> int:
    """How many steps the runs of a population took, each from where its round began."""
    plan, found = evolved.jobs.plan, 0
    for number in range(plan.rounds):
        begin = plan.end(number - 1) if number else 0
        for m in range(plan.members):
            found += optbench.open_run(evolved.jobs.at(number, m).path).summary["step"] - begin
    return found


def from_scratch(command: Sequence[str], seed: int, folder: Path) -> list[dict[str, float]]:
    """What a command's run comes to with each new seed, on the examples that it was found on."""
    kept = [word for word in command if not word.startswith(("seed=", "checkpoint="))]
    first = FIRST_NEW + AGAIN * seed
    runs = [
        train(
            *kept,
            f"seed={new}",
            f"dataset.split_seed={seed}",
            "checkpoint=none",
            folder=folder / f"seed-{new}",
        )
        for new in range(first, first + AGAIN)
    ]
    return [dict(run.summary["final"]) for run in succeeded(*runs)]


HEAD = (
    "| seed | PBT: val loss | test loss | replayed | random: val loss | test loss | again "
    "| PBT: test accuracy | replayed | random: test accuracy | again |"
)


def row(pair: Pair) -> str:
    """A seed's, in a line of the table."""
    arms = (pair.pbt, pair.random)
    cells = [str(pair.seed)]
    for each in arms:
        cells += [f"{value:.4f}" for value in (each.chosen_by, each.loss, fmean(each.losses))]
    for each in arms:
        cells += [f"{value:.4f}" for value in (each.accuracy, fmean(each.accuracies))]
    return f"| {' | '.join(cells)} |"


COMPARED: list[tuple[str, Callable[[Pair], float], Callable[[Pair], float]]] = [
    (
        "**PBT's chosen model, less random search's**",
        lambda pair: pair.pbt.loss - pair.random.loss,
        lambda pair: pair.pbt.accuracy - pair.random.accuracy,
    ),
    (
        "PBT's values replayed from scratch, less random search's again from scratch",
        lambda pair: fmean(pair.pbt.losses) - fmean(pair.random.losses),
        lambda pair: fmean(pair.pbt.accuracies) - fmean(pair.random.accuracies),
    ),
    (
        "PBT's values replayed from scratch, less its chosen model",
        lambda pair: fmean(pair.pbt.losses) - pair.pbt.loss,
        lambda pair: fmean(pair.pbt.accuracies) - pair.pbt.accuracy,
    ),
    (
        "random search's again from scratch, less its chosen model",
        lambda pair: fmean(pair.random.losses) - pair.random.loss,
        lambda pair: fmean(pair.random.accuracies) - pair.random.accuracy,
    ),
]
"""What a difference says, and what it is of the test loss and of the test accuracy."""


def compared(pairs: Sequence[Pair]) -> list[str]:
    """A table of the differences, each with its interval."""
    sure = f"{sign_flip_coverage(len(pairs)):.1%}".replace("%", " %")
    rows = [
        f"| | test loss ({sure} interval) | p | test accuracy, points ({sure} interval) | p |",
        "| --- | --- | --- | --- | --- |",
    ]
    for said, loss, accuracy in COMPARED:
        cells = [said]
        for differences in ([loss(p) for p in pairs], [100 * accuracy(p) for p in pairs]):
            digits = 4 if len(cells) == 1 else 2
            low, high = sign_flip_interval(differences)
            span = f"{low:+.{digits}f} to {high:+.{digits}f}"
            cells.append(f"{fmean(differences):+.{digits}f} ({span})")
            cells.append(f"{sign_flip_test(differences):.3f}")
        rows.append(f"| {' | '.join(cells)} |")
    return rows


PAGE = """# Population-based training beside random search of equal cost

`python scripts/pbt.py`, {date}. {machine}.

What is searched is the learning rate and the weight decay of AdamW, in the ranges of
`space=adamw`. For each seed:

- **PBT** is `optbench pbt`. **Random search** is the same command with `rounds=1`: settings are
  drawn independently, and each is trained to the end. Both draw the same ones, for the same first
  weights, order of examples and split, and take equally many steps. What differs is that one
  copies and varies.
- Both choose by one rule: the least {metric} at the end of training. PBT looks at the validation
  set after each round, too.
- Until a model is chosen nothing looks at the test set. Then it scores the chosen model, once.
- **Replayed** and **again**: the chosen one's values (PBT's round by round, `schedule=replay`) from
  scratch, on the same split, with {again} seeds that no search had, the same ones for both; the
  mean on the test set. What PBT found in its values is still there; luck, of the weights and of the
  choice, is not.

Lower losses and higher accuracies are better. The question that was asked beforehand is the first
row's test loss: by loss both search. All else is beside it, and no p is corrected for how many
there are.

p is of the exact sign-flip test of the differences by seed; the interval is of what this test does
not reject (`optbench/statistics/sign_flip.py`). Both suppose that seeds are independent and
differences symmetric about their centre. All seeds share a test set: nothing is said of other data
or models. With fewer than 6 seeds nothing can be shown at 5 %, and the interval is everything.
"""


def page(studies: dict[str, Study], pairs: dict[str, list[Pair]], machine: str) -> str:
    """All that is known."""
    known = {name: found for name, found in pairs.items() if found}
    today = datetime.now(UTC).date()
    parts = [PAGE.format(date=today, machine=machine, metric=METRIC, again=AGAIN)]
    for name, found in known.items():
        study, head = studies[name], [HEAD, "|" + " --- |" * (HEAD.count("|") - 1)]
        asked = f"`{' '.join(study.lines)} members={study.members} rounds={study.rounds}`"
        lines = [f"## {name}", "", asked, "", cost(found), "", *compared(found), ""]
        parts.append("\n".join([*lines, *head, *map(row, found), ""]))
    return "\n".join(parts)


def cost(pairs: Sequence[Pair]) -> str:
    """What both took, and how often PBT's best had copied."""
    taken = [sum(arm.steps for arm in arms) for arms in zip(*map(arms_of, pairs), strict=True)]
    lasted = [sum(arm.seconds for arm in arms) for arms in zip(*map(arms_of, pairs), strict=True)]
    copied = ", ".join(str(pair.pbt.copied) for pair in pairs)
    return (
        f"{len(pairs)} seeds. Steps in all, as the runs' summaries count them: PBT {taken[0]:,}, "
        f"random search {taken[1]:,}. Of the processor's time PBT took {lasted[0] / lasted[1]:.2f} "
        f"times as much.\nCopies in the chosen one's line of ancestors, by seed: {copied}."
    )


def arms_of(pair: Pair) -> tuple[Arm, Arm]:
    """PBT's, and random search's."""
    return pair.pbt, pair.random


if __name__ == "__main__":
    start(main)
