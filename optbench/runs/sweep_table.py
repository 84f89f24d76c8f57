"""A sweep's table: its runs, best first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from optbench.compose.composer import keys_of
from optbench.console import print_lines, print_table, print_text, shown, table_room
from optbench.escape import shell_word
from optbench.layout import fits
from optbench.monitor.numerals import significant
from optbench.rundir import DONE
from optbench.runs.result import RunResult, score


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
