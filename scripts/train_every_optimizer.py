"""Trains digits with every optimizer there is, and resumes each from step 7.

    python scripts/train_every_optimizer.py [NAME ...] [--out docs/results/optimizers.md] [--quick]

In one process: a run of two epochs, the same run killed after step 7, and that one resumed. The
table says whether both ended with the same bits (weights, state of optimizer and schedule,
counters, random generators) and reported the same numbers; where one did not, the exit code is 1.
"""

from __future__ import annotations

import contextlib
import gc
import platform
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

import optbench
from common import parser, start, train
from optbench.compose.paths import configs_folder
from optbench.config.zoo import zoo
from optbench.step_folders import checkpoint_folder

STEP = 7
RUN = ["dataset=digits", "threads=1", "device=cpu", "epochs=2", "monitor.tensorboard=false"]
RUN += ["checkpoint.every=7", "model.batch_norm=true"]
SEPARATE = ("zoo", "custom")
"""YAMLs that are for others' classes: the zoo's have lines of their own."""
QUICK = ("adamw", "sgd", "zoo lion", "custom")
CLOCKED = ("seconds", "throughput/examples_per_second", "memory/peak_mib")


class Killed(BaseException):
    """Stands for a SIGKILL."""


class Dying(optbench.Callback):
    """Ends the run right after the step's checkpoint, unannounced."""

    def on_checkpoint(self, trainer: Any, step: int) -> None:
        """What is said of it there."""
        if step == STEP:
            raise Killed


def ended(run: optbench.Run) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The last checkpoint, and the measurements, without what the clock says."""
    last = checkpoint_folder(run.path / "checkpoints", run.checkpoints.last or 0)
    state = {f.name: torch.load(f, weights_only=True) for f in sorted(last.glob("*.pt"))}
    for clocked in ("seconds", "optimizer_seconds"):
        state["state.pt"]["progress"].pop(clocked)
    state["state.pt"].pop("watching")
    records = [{k: v for k, v in line.items() if k not in CLOCKED} for line in run.records()]
    return state, records


def same(one: Any, other: Any) -> bool:
    """Nested data, equal to the last bit."""
    if type(one) is not type(other):
        return False
    if torch.is_tensor(one):
        fits = one.dtype == other.dtype and one.shape == other.shape
        return fits and torch.equal(as_bytes(one), as_bytes(other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)


def as_bytes(tensor: torch.Tensor) -> torch.Tensor:
    """The bits of a tensor."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def row(name: str, overrides: list[str], root: Path) -> list[str]:
    """A line of the table."""
    lines = [*RUN, *overrides]
    try:
        whole = train(*lines, folder=root / "whole")
    except optbench.UserError as error:
        return [name, "refused", "", str(error)]
    if whole.state != "finished":
        return [name, whole.state, "", whole.message]
    accuracy = f"{whole.metrics['test/accuracy']:.3f}"
    with contextlib.suppress(Killed):
        train(*lines, folder=root / "cut", callbacks=[Dying()])
    gc.collect()  # a process that is killed keeps no file open, and no lock
    taken = optbench.open_run(root / "cut").checkpoints.steps
    if taken != (STEP,):
        return [name, accuracy, "no", f"checkpoints after the kill: {taken}"]
    try:
        cut = optbench.resume(root / "cut")
    except optbench.UserError as error:
        return [name, accuracy, "no", str(error)]
    (one, records), (other, again) = ended(whole.run), ended(cut.run)
    exact = same(one, other) and same(records, again)
    return [name, accuracy, "yes" if exact else "no", ""]


def cases() -> dict[str, list[str]]:
    """Overrides by name: of every YAML, and of every name of the zoo."""
    yamls = sorted(path.stem for path in (configs_folder() / "optimizer").glob("*.yaml"))
    found = {name: [f"optimizer={name}"] for name in yamls if name not in SEPARATE}
    found["custom"] = ["optimizer=custom", "optimizer._target_=torch.optim.SGD", "optimizer.lr=0.1"]
    return found | {f"zoo {n}": ["optimizer=zoo", f"optimizer.name={n}"] for n in zoo()}


def table(rows: list[list[str]]) -> str:
    """Markdown."""
    head = ["optimizer", "test accuracy", "resumes bit for bit", ""]
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] * 4, *rows])


def tried(name: str, overrides: list[str]) -> list[str]:
    """A line of the table, whatever happens."""
    with tempfile.TemporaryDirectory() as root:
        try:
            return row(name, overrides, Path(root))
        except Exception as error:
            return [name, "error", "", f"{type(error).__name__}: {error}"]


def main() -> None:
    """Prints the table, and writes it."""
    command = parser(__doc__)
    command.add_argument("names", nargs="*")
    command.add_argument("--out", type=Path)
    options = command.parse_args()
    names = options.names or (QUICK if options.quick else cases())
    warnings.simplefilter("ignore")
    rows = []
    for name, overrides in cases().items():
        if name not in names:
            continue
        rows.append(tried(name, [*overrides, *(["epochs=1"] if options.quick else [])]))
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    refused = [r for r in rows if r[1] == "refused"]
    exact = [r for r in rows if r[2] == "yes"]
    summary = (
        f"{len(rows)} optimizers: {len(exact)} resume bit for bit, {len(refused)} are refused, "
        f"{len(rows) - len(exact) - len(refused)} neither."
    )
    versions = f"torch {torch.__version__}, Python {platform.python_version()}, one CPU thread"
    print(text := f"{summary}\n\n{table(rows)}\n")
    if options.out:
        note = "Written by `scripts/train_every_optimizer.py`: digits, an MLP with batch norm, two"
        note += f" epochs (42 steps), default settings, seed 0; killed after step 7. {versions}."
        options.out.write_text(
            f"# Every optimizer, trained and resumed\n\n{note}\n\n{text}", encoding="utf-8"
        )
    if len(exact) + len(refused) < len(rows):
        sys.exit(1)


if __name__ == "__main__":
    start(main)
