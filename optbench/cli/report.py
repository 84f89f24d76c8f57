"""What is told at the end: a run's summary, a sweep's table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from optbench.compose.composer import keys_of
from optbench.console import print_lines, print_table, print_text, shown, table_room
from optbench.errors import UserError
from optbench.escape import escaped, shell_word
from optbench.layout import fits
from optbench.monitor.numerals import significant
from optbench.rundir import DONE
from optbench.runs.log import Log
from optbench.runs.result import RunResult, score

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
    for what in ("examples", "tokens"):
        speed = result.metrics.get(f"throughput/{what}_per_second")
        if speed:
            rows.append([f"{what} per second", f"{speed:,.0f}"])
    if "memory/peak_mib" in result.metrics:
        rows.append(["peak memory", f"{result.metrics['memory/peak_mib']:,.0f} MiB"])
    folder = shell_word(shown(result.folder.path))
    rows.append(["folder", folder])
    print_table("", ["run", Path(result.folder.path).name], rows)
    for name, text in result.texts.items():
        shortened = text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + " ..."
        print_text(f"\n{escaped(name)}:\n{shortened}")
    print_lines(f"\n  tensorboard --logdir {folder}")
    change = goes_on_with(result)
    anew = result.state == "preempted" and not result.step
    if change is not None and (anew or result.folder.checkpoints.is_dir()):
        print_lines(f"  optbench resume {folder} {change}".rstrip())


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
        length = config.get(key)
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


def print_sweep(
    folder: Path, results: Sequence[tuple[list[str], RunResult]], metric: str, varied: Sequence[str]
) -> None:
    """Print a sweep's runs, best first; those without a score come last.

    Args:
        folder: the sweep's.
        results: the overrides and the result of each run.
        metric: by which they are ordered.
        varied: the keys that differ among the runs, of which each is a column.
    """
    best: dict[str, str] = next((dict(r.best) for _, r in results if r.best), {})
    mode = best.get("mode", "max")

    def order(item: tuple[list[str], RunResult]) -> tuple[bool, float]:
        value = score(item[1], metric)
        if value is None or value != value or item[1].state in ("failed", "diverged"):
            return (True, 0.0)
        return (False, -value if mode == "max" else value)

    tested = metric.replace("val/", "test/")
    ranked = sorted(results, key=order) if best else results
    chosen = metric.replace("val/", "test_best/")
    columns = {f"best {metric}": metric} if best else {}
    if any(chosen in result.metrics for _, result in results) and chosen != metric:
        columns[f"its {tested}"] = chosen
    columns[f"last {tested}"] = tested
    having = [m for m in columns.values() if any(score(r, m) is not None for _, r in results)]
    columns = {name: metric for name, metric in columns.items() if metric in having}
    rows = [_sweep_row(line, result, columns.values(), varied) for line, result in ranked]
    header = ["run", *varied, "state", *columns]
    if not fits([header, *rows], table_room(len(header))):  # what varies goes behind, on more lines
        rows = [[row[0], *row[1 + len(varied) :], _said(varied, row[1:])] for row in rows]
        header = ["run", "state", *columns, "what varies"]
    print_table(f"sweep {shown(folder)}", header, rows)
    if not best:
        known = any(result.state in ("finished", "stopped_early") for _, result in results)
        why = "there is no validation, and the test set chooses nothing"
        print_text(f"\nin their own order: {why if known else 'none has been scored yet'}")
    quoted = shell_word(shown(folder))
    print_lines(f"\n  tensorboard --logdir {quoted}")
    if any(result.state not in DONE for _, result in results):
        print_lines(f"  optbench resume {quoted}")


def _said(keys: Sequence[str], values: Sequence[str]) -> str:
    return " ".join(f"{key}={value}" for key, value in zip(keys, values, strict=False))


def _sweep_row(
    overrides: Sequence[str], result: RunResult, metrics: Iterable[str], varied: Sequence[str]
) -> list[str]:
    said = dict(zip(keys_of(overrides), overrides, strict=True))
    values = [said.get(key, "").partition("=")[2] for key in varied]
    scores = [score(result, metric) for metric in metrics]
    numbers = ["" if value is None else significant(value) for value in scores]
    return [result.folder.path.name, *values, result.state, *numbers]
