"""The verb `compare`: which settings are better, and how sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from optbench.cli.flags import taken
from optbench.console import print_error, print_lines, print_table, print_text
from optbench.errors import UserError

if TYPE_CHECKING:
    from optbench.comparison.result import Across, Workload

FORMATS = ("--csv", "--json", "--latex")


def compare(arguments: Sequence[str]) -> int:
    """Run `optbench compare FOLDER... [flags]`; return the exit code."""
    flags, folders = taken(
        "compare", arguments, ("--metric", "--mode", "--baseline", "--axis"), FORMATS
    )
    chosen = [flag for flag in FORMATS if flag in flags]
    if len(chosen) > 1:
        raise UserError(f"{' '.join(chosen)}: one of them")
    from optbench.comparison import formats
    from optbench.comparison.compare import compare_workloads

    found = compare_workloads(
        *folders,
        metric=flags.get("--metric"),
        mode=flags.get("--mode"),
        baseline=flags.get("--baseline"),
        axis=flags.get("--axis", "steps"),
    )
    if chosen:
        forms = {"--csv": formats.as_csv, "--json": formats.as_json, "--latex": formats.as_latex}
        print_lines(forms[chosen[0]](found).rstrip("\n"))
    else:
        for number, workload in enumerate(found.workloads):
            if number:
                print_text("")
            _print(workload, named=len(found.workloads) > 1)
        if found.across is not None:
            _print_across(found.across, len(found.workloads))
    for line in found.warnings:
        print_error(f"warning: {line}")
    for workload in found.workloads:
        where = f"{workload.name}: " if len(found.workloads) > 1 else ""
        for line in workload.compared.warnings:
            print_error(f"warning: {where}{line}")
    return 0


def _print(workload: Workload, named: bool) -> None:
    """Print what came of a workload."""
    from optbench.comparison import told

    compared = workload.compared
    title = told.title_of(compared)
    header, rows = told.rows_of(compared)
    print_table(f"{workload.name}: {title}" if named else title, header, rows)
    for line in told.hidden_settings(compared):
        print_text(f"  {line}")
    print_text("\n" + "\n".join([*compared.sentences, *told.beside(workload)]))
    if workload.defaults is not None:
        header, rows = told.rows_of(workload.defaults)
        print_table(f"at their defaults: {title}", header, rows)


def _print_across(found: Across, workloads: int) -> None:
    """Print what all workloads come to together."""
    from optbench.comparison import told

    header, rows = told.rows_across(found)
    print_text("")
    print_table(f"{workloads} workloads together", header, rows)
    print_text("\n" + "\n".join(told.said_across(found)))
