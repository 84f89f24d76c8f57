"""Small runs of every kind, and what a run that was harmed has to come to."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from training.runs import MACHINE

from .compare import differences
from .server import Ended, Fault, program

SMALL = [*MACHINE, "batch_size=50", "model.hidden=[8]"]
SHORT = ["steps=12", "checkpoint.every=3", "monitor.every=2", "eval.every=5"]
MLP = [*SMALL, *SHORT]
TEXT = "To be, or not to be, that is the question:\nWhether 'tis nobler in the mind\n" * 40
GPT = ["model=gpt", "model.layers=1", "model.heads=1", "model.width=8", "dataset.context=8"]
EARLY = ["eval.every=2", "early_stopping.patience=2", "optimizer.lr=1.0", "steps=30"]

KINDS: dict[str, list[str]] = {
    "plain": MLP,
    "async": [*MLP, "checkpoint.async_write=true"],
    "together": [*MLP, "eval.every=4", "monitor.every=3"],
    "between": [*MLP, "checkpoint.every=5", "steps=13"],
    "ema": [*MLP, "ema=0.9", "optimizer=sgd", "optimizer.lr=0.1"],
    "early": [*MLP, *EARLY],
    "schedulefree": [*MLP, "optimizer=schedulefree"],
    "momentum": [*MLP, "optimizer=momentum", "schedule=cosine", "schedule.warmup_steps=3"],
    "unvalidated": [*MLP, "dataset.val_fraction=0"],
    "histograms": [*MLP, "monitor.histograms=4", "dataset.flip=true", "model.dropout=0.2"],
    "no board": [*MLP, "monitor.tensorboard=false"],
    "final": [*MLP, "checkpoint=final"],
    "function": [*MACHINE, "model=rosenbrock", "optimizer=sgd", "optimizer.lr=1e-4", *SHORT],
    "language": [*MACHINE, *GPT, "dataset=text", "batch_size=50", *SHORT],
    "sweep": ["-m", *MLP, "steps=6", "optimizer.lr=0.01,0.001"],
}
"""What `train` gets, by the name of the kind."""


def train(kind: str, folder: Path, fault: Fault | None = None, **more: Any) -> Ended:
    """`optbench train`, of a kind, into a folder."""
    key = "hydra.sweep.dir" if kind == "sweep" else "hydra.run.dir"
    said = [f"{key}={folder}"]
    if kind == "language":
        text = Path("text.txt").absolute()
        if not text.exists():
            text.write_text(TEXT, encoding="utf-8")
        said.append(f"dataset.path={text}")
    return program(["train", *KINDS[kind], *said], folder, fault, **more)


def resume(folder: Path, *overrides: str, fault: Fault | None = None, **more: Any) -> Ended:
    """`optbench resume`."""
    return program(["resume", folder, *overrides], folder, fault, **more)


@cache
def whole(kind: str) -> tuple[Path, Ended]:
    """A run that is left alone, made when first asked for; no two workers may ask at once."""
    folder, noted = Path("whole", kind).absolute(), Path("whole", f"{kind}.pickle")
    if not noted.exists():
        ended = train(kind, folder)
        assert ended.code == 0, ended.err
        noted.write_bytes(pickle.dumps(ended))
    return folder, pickle.loads(noted.read_bytes())


def whole_of(kind: str) -> Ended:
    """How it ended, for `Server.map`."""
    return whole(kind)[1]


def unlike_whole(kind: str, folder: Path) -> list[str]:
    """In what a run of the kind, or a sweep's runs, differ from those that were left alone."""
    if kind != "sweep":
        return differences(whole(kind)[0], folder)
    numbers = ("0", "1")
    return [f"{n}/{d}" for n in numbers for d in differences(whole(kind)[0] / n, folder / n)]


def resumable(kind: str, folder: Path) -> bool:
    """Whether there is anything that could be gone on with."""
    return (folder / ("sweep.yaml" if kind == "sweep" else "config.yaml")).is_file()


PROGRESS = ("training ", "resuming ", "step ", "finished ", "stopped_early ", "[1/2] ", "[2/2] ")
"""How the lines begin that a run says while all is well."""


def errors(ended: Ended) -> list[str]:
    """The lines on standard error that are neither progress nor a warning."""
    usual = (*PROGRESS, "warning: ", "changed: ")
    return [line for line in ended.err.splitlines() if not line.startswith(usual)]


def not_refused_well(ended: Ended) -> list[str]:
    """What is wrong with how a command refused: it should be one line, and exit code 2."""
    wrong = unclean(ended)
    if ended.code != 2:
        wrong.append(f"exit code {ended.code} instead of 2: {said(ended)}")
    lines = errors(ended)
    if len(lines) != 1 or not lines[0].startswith("optbench: "):
        wrong.append(f"not one line: {' / '.join(lines)[:200]}")
    return wrong


def unclean(ended: Ended) -> list[str]:
    """What no command may do, however it was harmed."""
    wrong = []
    if ended.code is None:
        wrong.append("hangs")
    elif ended.code < 0:
        wrong.append(f"dies of signal {-ended.code}")
    if "Traceback" in ended.err or '  File "' in ended.err:
        wrong.append(f"traceback: {ended.err.strip().splitlines()[-1][:100]}")
    return wrong


def said(ended: Ended) -> str:
    """The end of what it said on standard error."""
    lines = ended.err.strip().splitlines()
    return " / ".join(lines[-2:])[-160:] if lines else "nothing"


@contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """A folder of a case's own, which is gone afterwards."""
    folder = Path("cases", name).absolute()
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(results: list[tuple[str, list[str]]]) -> str:
    """The cases that failed, a line each, below a count of each way to fail."""
    failed = [(case, wrong) for case, wrong in results if wrong]
    lines = [f"{case}: {'; '.join(wrong)}" for case, wrong in failed]
    return "\n".join([f"{len(failed)} of {len(results)} cases failed", *lines])
