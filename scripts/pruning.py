"""What pruning saves, and what it costs: Hyperband beside the same trials in full.

    python scripts/pruning.py [--rounds 3] [--trials 40] [--out docs/results/pruning.md] [--quick]

Random search draws the same trials with and without pruning. Each round is a study of its own
with another seed; what pruning chose is compared with the best by what both came to in full.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import optbench
from common import parser, start

LINE = ["workload=fmnist_mlp", "optimizer=adamw", "space=adamw", "sampler=random", "threads=1"]
LINE += ["steps=1200", "eval.every=60", "schedule=cosine", "monitor.every=0"]
LINE += ["monitor.tensorboard=false", "checkpoint=final"]
QUICK = ["workload=none", "model.hidden=[8]", "dataset=digits", "steps=20", "eval.every=2"]


def main() -> None:
    """The rounds, and a table."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=3, help="studies with and without pruning")
    options.add_argument("--trials", type=int, default=40, help="of each study")
    options.add_argument("--pruner", default="hyperband", help="which")
    options.add_argument("--out", type=Path, help="a file for the table")
    arguments = options.parse_args()
    trials, rounds = (6, 1) if arguments.quick else (arguments.trials, arguments.rounds)
    rows = [
        "| seed | best in full | of the trial that pruning chose, in full | its rank "
        "| steps, share of all |",
        "| --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(rounds):
            line = [*LINE, *(QUICK if arguments.quick else []), f"seed={seed}", f"trials={trials}"]
            rows.append(row(line, seed, arguments.pruner, Path(folder)))
            print(rows[-1], flush=True)
    if arguments.out is not None:
        arguments.out.write_text("\n".join(rows) + "\n", encoding="utf-8")


def row(line: list[str], seed: int, pruner: str, folder: Path) -> str:
    """Both studies of a seed, in a line of the table."""
    studies = {
        name: optbench.tune(*line, f"pruner={name}", folder=folder / f"{name}-{seed}")
        for name in ("none", pruner)
    }
    full = {tried.place: tried.value for tried in studies["none"].tried()}
    best, chosen = studies["none"].best(), studies[pruner].best()
    assert best is not None and chosen is not None
    assert best.values == {**studies["none"].tried()[best.place].values}
    value = full[chosen.place]
    rank = 1 + sum(other > value for other in full.values())
    taken = {name: steps(study) for name, study in studies.items()}
    share = taken[pruner] / taken["none"]
    return f"| {seed} | {best.value:.4f} | {value:.4f} | {rank} of {len(full)} | {share:.0%} |"


def steps(study: optbench.Study) -> int:
    """How many steps the trials took in all."""
    return sum(run.summary["step"] for run in optbench.find_runs(study.folder))


if __name__ == "__main__":
    start(main)
