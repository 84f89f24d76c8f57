"""How long the program takes to start: help, one-line errors, and the first step of a training.

Usage: python scripts/bench/startup.py [--profile] [--quick]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import parser, start
from runs import scratch
from timing import Clock, Row, alternate, beyond, estimate, machine_line, print_rows

HERE = Path(__file__).parent
EXIT_BAD_INPUT = 2
TARGET_SECONDS = 0.5
ERRORS = (
    "optimizer=adamm",
    "optimizr=sgd",
    "+optimizr=sgd",
    "+optimizer.lrr=1",
    "optimizer.lr=abc",
    "optimizer.lr=-1",
    "optimizer.betas=[0.9]",
    "epochs=1 steps=5",
    "epochs=0",
    "precision=fp8",
    "device=gpu",
    "resume=nowhere",
    "batch_size=100000",
    "dataset=mnist data_root={empty}",
    "dataset=image_folder dataset.root={empty}",
)
"""Wrong input that can be told without torch."""

IMPORTS_SHOWN = 15


def _processor_seconds() -> float:
    """Of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": _processor_seconds}


def main() -> None:
    """Both tables, or where the time goes."""
    options = parser(__doc__)
    options.add_argument("--runs", type=int, default=5, help="of each command line")
    options.add_argument("--first-steps", type=int, default=7, help="of each way to the first step")
    options.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: of the processor")
    options.add_argument("--profile", action="store_true", help="which imports take longest")
    arguments = options.parse_args()
    errors: Sequence[str] = ERRORS
    warmup = 1
    if arguments.quick:
        arguments.runs = arguments.first_steps = 1
        errors, warmup = ERRORS[:2], 0
    print(machine_line("torch", "optbench", "hydra-core"))
    if arguments.profile:
        imports("optbench train optimizer=adamm", ["-m", "optbench", "train", "optimizer=adamm"])
        imports("the bare first step", [str(HERE / "first_step_bare.py")])
        imports("optbench's first step", [str(HERE / "first_step.py"), "dataset=digits"])
        return
    with scratch() as empty:
        answers(empty, errors, arguments.runs, warmup, arguments.clock)
        first_step(empty, arguments.first_steps, warmup, arguments.clock)


def answers(empty: Path, errors: Sequence[str], runs: int, warmup: int, clock: str) -> None:
    """Help, version and errors, as typed in a shell."""
    lines = ["--help", "--version", "train --help", "list optimizer"]
    lines += ["train " + error.format(empty=empty) for error in errors]
    expected = {line: EXIT_BAD_INPUT if "=" in line else 0 for line in lines}

    def candidate(line: str) -> None:
        run([*program(), *line.split()], empty, expected[line])

    candidates = {line: lambda line=line: candidate(line) for line in lines}
    times = alternate(candidates, runs, warmup, CLOCKS[clock])
    rows = [
        Row(f"optbench {line.replace(str(empty), 'EMPTY')}", estimate(t), "s", TARGET_SECONDS)
        for line, t in times.items()
    ]
    print_rows(f"answers without torch, whole processes; {runs} runs; {clock} time", rows)


def first_step(empty: Path, runs: int, warmup: int, clock: str) -> None:
    """From the start of the process until a first step on digits is taken."""
    bare, ours, many = "bare script", "optbench train dataset=digits", "and with -m optimizer=a,b"
    script, given = [sys.executable, str(HERE / "first_step.py")], ["dataset=digits"]
    alone, all_of_them = f"hydra.run.dir={empty / 'run'}", f"hydra.sweep.dir={empty / 'sweep'}"
    times = alternate(
        {
            bare: lambda: run([sys.executable, str(HERE / "first_step_bare.py")], empty),
            ours: lambda: run([*script, *given, alone], empty),
            many: lambda: run([*script, "-m", "optimizer=adamw,sgd", *given, all_of_them], empty),
        },
        runs,
        warmup,
        CLOCKS[clock],
    )
    rows = [Row(name, estimate(t), "s") for name, t in times.items()]
    rows.append(Row("optbench beyond bare", beyond(times, ours, bare), "s", TARGET_SECONDS))
    print_rows(f"time to the first step, whole processes; {runs} runs; {clock} time", rows)


def program() -> list[str]:
    """optbench as it is typed, where it is installed."""
    typed = Path(sys.executable).with_name("optbench")
    return [str(typed)] if typed.is_file() else [sys.executable, "-m", "optbench"]


def run(command: Sequence[str], folder: Path, expected: int = 0) -> None:
    """One process; its output is thrown away unless it ends otherwise than expected."""
    # An address where nobody listens stands for a machine without a network.
    nowhere = {f"{kind}_proxy": "http://127.0.0.1:9" for kind in ("http", "https")}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **nowhere},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode != expected:
        raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")


def imports(what: str, arguments: Sequence[str]) -> None:
    """The modules that take longest to import, with what they import themselves."""
    with scratch() as folder:
        done = subprocess.run(
            [sys.executable, "-X", "importtime", *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
    lines = [
        line.split("|") for line in done.stderr.splitlines() if line.startswith("import time:")
    ]
    timed = [(int(total), int(own[12:]), name) for own, total, name in lines[1:]]
    own_most = sorted(timed, key=lambda row: -row[1])[:IMPORTS_SHOWN]
    print(f"\n{what}: {sum(own for _, own, _ in timed) / 1e3:.0f} ms of imports")
    for title, rows in (("with what they import", sorted(timed)[::-1]), ("alone", own_most)):
        print(f"  {title}")
        for total, own, name in rows[:IMPORTS_SHOWN]:
            print(f"    {total / 1e3:8.1f} {own / 1e3:8.1f} ms {name.rstrip()}")


if __name__ == "__main__":
    start(main)
