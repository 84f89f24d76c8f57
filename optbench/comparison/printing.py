"""Comparisons in a terminal: tables of 80 columns and sentences; warnings on standard error."""

from __future__ import annotations

from optbench.comparison import told
from optbench.comparison.result import Across, Comparisons, Workload
from optbench.console import print_error, print_table, print_text
from optbench.escape import escaped

LONGEST = 1000
"""Letters of a line."""


def print_comparisons(found: Comparisons) -> None:
    """Print what came of each workload, and of all together."""
    for number, workload in enumerate(found.workloads):
        if number:
            print_text("")
        _print_workload(workload, named=len(found.workloads) > 1)
    if found.across is not None:
        _print_across(found.across, len(found.workloads))


def print_warnings(found: Comparisons) -> None:
    """Print what speaks against it, a line each."""
    for line in found.warnings:
        print_error(_one_line(f"warning: {line}"))
    for workload in found.workloads:
        where = f"{workload.name}: " if len(found.workloads) > 1 else ""
        for line in workload.warnings:
            print_error(_one_line(f"warning: {where}{line}"))


def _one_line(text: str) -> str:
    """Return what others' names can't make more than a line of, nor an endless one."""
    line = escaped(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


def _print_workload(workload: Workload, named: bool) -> None:
    compared = workload.compared
    title = told.title_of(compared)
    header, rows = told.rows_of(compared)
    print_table(f"{workload.name}: {title}" if named else title, header, rows)
    for line in told.hidden_settings(compared):
        print_text(f"  {_one_line(line)}")
    said = [*compared.sentences, *told.beside(workload)]
    print_text("\n" + "\n".join(map(_one_line, said)))
    if workload.defaults is not None:
        print_text("")
        print_table(f"at their defaults: {title}", *told.rows_of(workload.defaults))


def _print_across(found: Across, workloads: int) -> None:
    print_text("")
    print_table(f"{workloads} workloads together", *told.rows_across(found))
    print_text("\n" + "\n".join(map(_one_line, told.said_across(found))))
