"""The verb `benchmark`: optimizers on a suite of workloads, and who is better."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.cli.tune import EXIT_LEFT, study_words
from optbench.compose.composer import hydra_session
from optbench.console import print_lines, print_text, shown
from optbench.escape import shell_word
from optbench.runs.log import Log

if TYPE_CHECKING:
    from optbench.benchmark.benchmark import Benchmarked


def benchmark(arguments: Sequence[str]) -> int:
    """Run `optbench benchmark suite=NAME optimizers=[...]`; return the exit code."""
    from optbench.benchmark import benchmark as protocol
    from optbench.benchmark.asked import WORDS

    words, log = study_words(arguments, "benchmark, whose trials", WORDS), Log()
    with hydra_session(words.config_dir) as composer:
        folder = protocol.folder_wanted(composer, words.own)
        return report(protocol.benchmark(composer, words.rest, folder, log))


def resume_benchmark(
    folder: Path, overrides: Sequence[str], config_dir: str | None, log: Log
) -> int:
    """Go on with a benchmark; return the exit code."""
    from optbench.benchmark import benchmark as protocol
    from optbench.benchmark.plan import read_plan

    with hydra_session(config_dir or read_plan(folder).config_dir) as composer:
        return report(protocol.go_on(composer, folder.absolute(), overrides, log))


def report(found: Benchmarked) -> int:
    """Print what a benchmark came to; return its exit code."""
    from optbench.benchmark.printing import print_results
    from optbench.which_run import REPORT

    print_results(found.results)
    folder = shell_word(shown(found.folder))
    print_text(f"\nall numbers: {shown(found.folder / REPORT)}")
    if found.results:
        print_lines(f"  optbench compare {folder}\n  optbench report {folder} -o report.html")
    if not found.done:
        print_lines(f"  optbench resume {folder}")
    if found.signal:
        return 128 + found.signal
    return 0 if found.done else EXIT_LEFT
