"""The verb `compare`: which settings are better, and how sure."""

from __future__ import annotations

from collections.abc import Sequence

from optbench.config.flags import taken
from optbench.console import print_error, print_lines, shown
from optbench.errors import UserError

FORMATS = ("--csv", "--json", "--latex")
FLAGS = ("--metric", "--mode", "--baseline", "--axis", "--figures", "--format")


def compare(arguments: Sequence[str]) -> int:
    """Run `optbench compare FOLDER... [flags]`; return the exit code."""
    flags, folders = taken("compare", arguments, FLAGS, FORMATS)
    chosen = [flag for flag in FORMATS if flag in flags]
    if len(chosen) > 1:
        raise UserError(f"{' '.join(chosen)}: one of them")
    if "--format" in flags and "--figures" not in flags:
        raise UserError("--format: it is of figures, which --figures FOLDER draws; give both")
    from optbench.comparison import formats, printing
    from optbench.comparison.compare import compare_workloads

    if "--figures" in flags:
        from optbench.report.figures import check_format, draw_figures

        check_format(flags.get("--format", "png"))
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
        printing.print_comparisons(found)
    if "--figures" in flags:
        ending = flags.get("--format", "png")
        drawn = draw_figures(
            found, flags["--figures"], ending, lambda line: print_error(f"warning: {line}")
        )
        if not chosen:
            print_lines("\n".join(["", *map(shown, drawn)]))
    printing.print_warnings(found)
    return 0
