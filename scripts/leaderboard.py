"""Which optimizer is best on a suite, as a page of docs/results/ and the picture in README.md.

    python scripts/leaderboard.py [FOLDER] [--name cpu] [--out docs] [--quick]

FOLDER is a benchmark's, such as of the command that the page begins with; what it says is made of
its runs anew, as `optbench compare` does. Workloads that are not over are left out.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optbench
from common import machine_line, parser, start
from optbench.comparison.told import (
    beside,
    hidden_settings,
    rows_across,
    rows_of,
    said_across,
    title_of,
)
from optbench.files import load_yaml
from optbench.report.figures import draw_figures

TINY = ["workload=digits_mlp", "epochs=1", "trials=2", "seeds=2", "threads=1"]


def main() -> None:
    """Write the page and its pictures."""
    options = parser(__doc__)
    options.add_argument("folder", nargs="?", type=Path, help="of a benchmark")
    options.add_argument("--name", default="cpu", help="of the page: leaderboard-NAME")
    options.add_argument("--out", type=Path, help="the folder docs; default: tells the page")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.folder
        if arguments.quick:
            folder = Path(scratch, "tiny")
            optbench.benchmark(*TINY, "optimizers=[sgd,adamw]", folder=folder)
        elif folder is None:
            options.error("which benchmark? or --quick")
        out = arguments.out or Path(scratch, "docs")
        page = write(folder, arguments.name, out)
        print(page)


def write(folder: Path, name: str, out: Path) -> str:
    """Write pictures and page of a benchmark's folder; return the page."""
    found = optbench.compare_workloads(folder)
    pictures = draw_figures(found, out / "images" / f"leaderboard-{name}")
    plan = load_yaml(folder / "benchmark.yaml")
    lines = [f"# Leaderboard: {plan['suite'] or found.workloads[0].name}", "", *protocol(plan), ""]
    left = [each for each in plan["workloads"] if each not in [w.name for w in found.workloads]]
    if left and plan["suite"]:
        lines += [f"Cut for want of time: {', '.join(left)}.", ""]
    if found.across is not None:
        lines += [*picture(pictures, name, "workloads"), *table(*rows_across(found.across)), ""]
        lines += [*[f"{line}." for line in said_across(found.across)], ""]
    trials = chosen(folder)
    for workload in found.workloads:
        lines += [f"## {workload.name}", "", f"{title_of(workload.compared)}.", ""]
        lines += [*table(*rows_of(workload.compared)), ""]
        lines += [f"- {line}" for line in [*workload.compared.sentences, *beside(workload)]]
        lines += [f"- warning: {line}" for line in workload.compared.warnings]
        lines += ["", *picture(pictures, name, f"{workload.name}-curves")]
        if workload.defaults is not None:
            lines += ["At their defaults:", "", *table(*rows_of(workload.defaults)), ""]
        settings = hidden_settings(workload.compared)
        lines += [*(f"- `{line}`" for line in settings), *trials.get(workload.name, []), ""]
    page = "\n".join(lines).rstrip() + "\n"
    target = out / "results" / f"leaderboard-{name}.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(page, encoding="utf-8")
    return page


def protocol(plan: dict[str, Any]) -> list[str]:
    """Return how it was done, with the command that does it again."""
    names = ",".join(each["name"] for each in plan["optimizers"])
    what = f"suite={plan['suite']}" if plan["suite"] else " ".join(map(shlex.quote, one(plan)))
    return [
        f"`optbench benchmark {what} 'optimizers=[{names}]' trials={plan['trials']} "
        f"seeds={plan['seeds']}`: each optimizer had {plan['trials']} trials on a workload, its "
        f"defaults among them, chosen by the validation set with seed {plan['seed']}; scores are "
        f"of {plan['seeds']} fresh seeds. [How](../benchmark.md), and "
        "[what the verdicts mean](../statistics.md).",
        "",
        f"{machine_line()}.",
    ]


def one(plan: dict[str, Any]) -> list[str]:
    """Return the overrides of a benchmark of one problem."""
    (lines,) = plan["workloads"].values()
    return list(lines)


def chosen(folder: Path) -> dict[str, list[str]]:
    """Return by workload what more trials are expected to bring, of the report."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    said = {}
    for workload in report["workloads"]:
        many = range(1, report["trials"] + 1)
        header = [f"expected best {workload['chosen_by']} of", *map(str, many), "trials"]
        rows = [
            [name, *(f"{value:.4g}" if value is not None else "-" for value in values), ""]
            for name, values in workload["expected_best"].items()
        ]
        said[workload["name"]] = ["", *table(header, rows)]
    return said


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return a table in Markdown."""
    marks = ["---"] * len(header)
    return [f"| {' | '.join(row)} |" for row in (header, marks, *rows)]


def picture(drawn: Sequence[Path], name: str, what: str) -> list[str]:
    """Return a picture, if it was drawn."""
    found = [path for path in drawn if path.stem == what]
    return [f"![{what}](../images/leaderboard-{name}/{path.name})\n" for path in found]


if __name__ == "__main__":
    start(main)
