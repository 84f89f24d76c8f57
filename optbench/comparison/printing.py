"""Comparisons in a terminal: tables of 80 columns and sentences; warnings on standard error."""

from __future__ import annotations

from optbench.comparison import told
from optbench.comparison.result import Across, Comparisons, Workload
from optbench.console import print_error, print_table, print_text


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
        print_error(f"warning: {line}")
    for workload in found.workloads:
        where = f"{workload.name}: " if len(found.workloads) > 1 else ""
        for line in workload.warnings:
            print_error(f"warning: {where}{line}")


def _print_workload(workload: Workload, named: bool) -> None:
    compared = workload.compared
    title = told.title_of(compared)
    header, rows = told.rows_of(compared)
    print_table(f"{workload.name}: {title}" if named else title, header, rows)
    for line in told.hidden_settings(compared):
        print_text(f"  {line}")
    print_text("\n" + "\n".join([*compared.sentences, *told.beside(workload)]))
    if workload.defaults is not None:
        print_text("")
        print_table(f"at their defaults: {title}", *told.rows_of(workload.defaults))


def _print_across(found: Across, workloads: int) -> None:
    print_text("")
    print_table(f"{workloads} workloads together", *told.rows_across(found))
    print_text("\n" + "\n".join(told.said_across(found)))
