"""The verb `pbt`: population-based training, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.cli.tune import EXIT_LEFT, study_words
from optbench.compose.composer import hydra_session
from optbench.console import print_error, print_lines, print_table, print_text, shown
from optbench.escape import shell_word
from optbench.runs.log import Log

if TYPE_CHECKING:
    from optbench.population.pbt import Evolved


def pbt(arguments: Sequence[str]) -> int:
    """Run `optbench pbt [overrides] space=NAME`; return the exit code."""
    from optbench.population import pbt as population
    from optbench.population.asked import WORDS

    words = study_words(arguments, "pbt, whose members", WORDS)
    with hydra_session(words.config_dir) as composer:
        return report(population.pbt(composer, words.rest, words.folder(composer), Log()))


def resume_population(
    folder: Path, overrides: Sequence[str], config_dir: str | None, log: Log
) -> int:
    """Go on with a population; return the exit code."""
    from optbench.population import pbt as population
    from optbench.population.plan import read_plan

    with hydra_session(config_dir or read_plan(folder).config_dir) as composer:
        return report(population.go_on(composer, folder.absolute(), overrides, log))


def report(evolved: Evolved) -> int:
    """Print what a population came to; return its exit code."""
    from optbench.population.replay import write_replay
    from optbench.population.report import history, last_round, line_of, rows_of, save_tree

    jobs = evolved.jobs
    folder = shell_word(shown(jobs.folder.path))
    over = last_round(jobs)
    if over is not None:
        many = f"{over + 1} of {jobs.plan.rounds}"
        header, rows = rows_of(jobs, over)
        print_table(f"population {shown(jobs.folder.path)}, after round {many}", header, rows)
    if over is not None and not jobs.lost:
        line = line_of(jobs, over)
        print_text("")
        print_table("the best member's line of ancestors", *history(jobs, line))
        print_text(f"\n{save_tree(jobs, line)}")
        if jobs.done:
            written = write_replay(jobs, evolved.base, line)
            print_text("\n".join(written.said))
            print_lines(f"\n  {written.command}")
    if over is not None and jobs.lost:
        print_error(f"optbench: {jobs.why_lost()}")
    print_lines(f"  tensorboard --logdir {folder}")
    if not jobs.done or jobs.lost:
        print_lines(f"  optbench resume {folder}")
    if evolved.signal:
        return 128 + evolved.signal
    return 0 if jobs.done and not jobs.lost else EXIT_LEFT
