"""The verb `compare`: which settings are better, and how sure."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.cli.flags import taken
from optbench.console import print_error, print_lines, print_table, print_text
from optbench.errors import UserError

FORMATS = ("--csv", "--json", "--latex")


def compare(arguments: Sequence[str]) -> int:
    """Run `optbench compare FOLDER... [flags]`; return the exit code."""
    flags, folders = taken("compare", arguments, ("--metric", "--mode", "--baseline"), FORMATS)
    chosen = [flag for flag in FORMATS if flag in flags]
    if len(chosen) > 1:
        raise UserError(f"{' '.join(chosen)}: one of them")
    from optbench.comparison import compare as comparing
    from optbench.comparison import told

    compared = comparing.compare(
        *folders,
        metric=flags.get("--metric"),
        mode=flags.get("--mode"),
        baseline=flags.get("--baseline"),
    )
    if chosen:
        forms = {"--csv": told.as_csv, "--json": told.as_json, "--latex": told.as_latex}
        print_lines(forms[chosen[0]](compared).rstrip("\n"))
    else:
        header, rows = told.rows_of(compared)
        print_table(told.title_of(compared), header, rows)
        for line in told.hidden_settings(compared):
            print_text(f"  {line}")
        print_text("\n" + "\n".join(compared.sentences))
    for line in compared.warnings:
        print_error(f"warning: {line}")
    return 0
