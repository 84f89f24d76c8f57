"""What is told at the end of a run: its summary, and what comes next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from optbench.config.schema import DEFAULT_EPOCHS
from optbench.console import print_lines, print_table, print_text, shown
from optbench.errors import UserError
from optbench.escape import escaped, shell_word
from optbench.monitor.numerals import significant
from optbench.runs.log import Log
from optbench.runs.result import RunResult

MOST_CHARACTERS = 600
"""Of a sample of text in the terminal; all of it is in the run folder."""


def finish(result: RunResult, log: Log) -> int:
    """Tell how a run ended; return its exit code."""
    if result.state == "failed":
        log.tell(f"failed: {result.message}")
        if not result.explained:
            log.tell(f"the traceback is in {result.folder.log}")
    elif not log.quiet:
        print_summary(result)
    return result.exit_code


def print_summary(result: RunResult) -> None:
    """Print the final and best values, and the commands that come next."""
    rows = [["state", result.state], ["steps", str(result.step)]]
    last = result.best.get("step") == result.step
    for metric, value in result.metrics.items():
        if metric.partition("/")[0] in ("train", "val", "test", *(() if last else ("test_best",))):
            rows.append([metric, significant(value)])
    if result.scored:
        rows.append(["scored weights", result.scored])
    if result.best:
        best = result.best
        rows.append(
            [f"best {best['metric']}", f"{significant(best['value'])} at step {best['step']}"]
        )
    if result.target:
        rows.append(["target", _target(result.target)])
    rows += _costs(result.metrics)
    folder = shell_word(shown(result.folder.path))
    rows.append(["folder", folder])
    print_table("", ["run", Path(result.folder.path).name], rows)
    for name, text in result.texts.items():
        shortened = text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + " ..."
        print_text(f"\n{escaped(name)}:\n{shortened}")
    print_lines(f"\n  tensorboard --logdir {folder}" if result.folder.tensorboard.is_dir() else "")
    change = goes_on_with(result)
    anew = result.state == "preempted" and not result.step
    if change is not None and (anew or result.folder.checkpoints.is_dir()):
        print_lines(f"  optbench resume {folder} {change}".rstrip())


def _costs(metrics: Mapping[str, float]) -> list[list[str]]:
    """Return rows of what the run made of the machine."""
    rows = []
    for what in ("examples", "tokens"):
        speed = metrics.get(f"throughput/{what}_per_second")
        if speed:
            rows.append([f"{what} per second", f"{speed:,.0f}"])
    if "throughput/mfu" in metrics:
        rows.append(["of the device's peak", f"{100 * metrics['throughput/mfu']:.3g} %"])
    if "memory/peak_mib" in metrics:
        rows.append(["peak memory", f"{metrics['memory/peak_mib']:,.0f} MiB"])
    return rows


def goes_on_with(result: RunResult) -> str | None:
    """Return the override a run goes on with, empty if it needs none; None if none helps.

    One that has finished goes on if it is made longer, twice as long, say; one that stopped early
    to its planned length.
    """
    if result.state not in ("finished", "stopped_early"):
        return "" if result.state == "preempted" else None
    with suppress(UserError):
        config = result.run.config
        key = "epochs" if config.get("steps") is None else "steps"
        length = config.get(key) or DEFAULT_EPOCHS
        if not isinstance(length, int):
            return None
        if result.state == "finished":
            return f"{key}={2 * length}"
        patience = result.run.setting("early_stopping.patience")
        return "early_stopping.patience=0" if patience else f"{key}={length}"
    return None


def _target(target: Mapping[str, Any]) -> str:
    sign = ">=" if target["mode"] == "max" else "<="
    wanted = f"{target['metric']} {sign} {target['value']:g}"
    if target["step"] is None:
        return f"{wanted}: not reached"
    return f"{wanted}: at step {target['step']}, after {target['seconds']:.1f} s of training"
