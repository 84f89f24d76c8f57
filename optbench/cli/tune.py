"""The verb `tune`: searching for settings, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from optbench.assemble.create import need
from optbench.cli.training import parse
from optbench.compose.composer import Composer, hydra_session
from optbench.console import print_lines, print_table, print_text, shown
from optbench.errors import UserError
from optbench.escape import shell_word
from optbench.runs.log import Log
from optbench.tuning.asked import WORDS

if TYPE_CHECKING:
    from optbench.tuning.tune import Searched

EXIT_LEFT = 1
"""Trials are left, or none has a score."""


def tune(arguments: Sequence[str]) -> int:
    """Run `optbench tune [overrides] space=NAME trials=N`; return the exit code."""
    words = study_words(arguments, "tune, whose trials", WORDS)
    need("optuna", "tune", "tune")
    from optbench.tuning import tune as tuning

    log = Log()
    with hydra_session(words.config_dir) as composer:
        searched = tuning.tune(composer, words.rest, words.folder(composer), log)
        return _reported(composer, searched, log)


def resume_study(folder: Path, overrides: Sequence[str], config_dir: str | None, log: Log) -> int:
    """Go on with a study; return the exit code."""
    need("optuna", "tune", "resume")
    from optbench.tuning import tune as tuning
    from optbench.tuning.plan import read_plan

    with hydra_session(config_dir or read_plan(folder).config_dir) as composer:
        searched = tuning.go_on(composer, folder.absolute(), overrides, log)
        return _reported(composer, searched, log)


def _reported(composer: Composer, searched: Searched, log: Log) -> int:
    """Print what a study came to, and what its best is worth if that is asked; the exit code."""
    code = report(searched, log)
    plan = searched.study.plan
    if code or not plan.against:
        return code
    from optbench.benchmark.against import against
    from optbench.cli.benchmark import report as report_verdict

    print_text(f"\nagainst optimizer={plan.against}, tuned as much, by {plan.confirm} fresh seeds:")
    found = against(composer, searched, log)
    if found.verdict is None:
        code = report(found.rival, log)
        print_lines(f"  optbench resume {shell_word(shown(searched.study.folder))}")
        return code or EXIT_LEFT
    return report_verdict(found.verdict)


class StudyWords(NamedTuple):
    """A study's command line: of its runs, of its folder, of the user's config files."""

    rest: list[str]
    own: list[str]
    config_dir: str | None

    def folder(self, composer: Composer) -> str:
        """Return where the study goes: where a sweep would, unless it is said."""
        from optbench.tuning.tune import folder_wanted

        return folder_wanted(composer, self.own)


def study_words(arguments: Sequence[str], whose: str, known: Sequence[str]) -> StudyWords:
    """Return a study's words; refuse flags of one run and of sweeps. `whose` runs they are."""
    flags = parse(arguments, words=known)
    for flag in ("multirun", "cfg", "info", "hydra_help"):
        if getattr(flags, flag):
            raise UserError(f"--{flag}: not with {whose} are many runs anyway")
    own = [line for line in flags.overrides if line.startswith("hydra.sweep.dir=")]
    rest = [line for line in flags.overrides if line not in own]
    return StudyWords(rest, own, flags.config_dir)


def report(searched: Searched, log: Log) -> int:
    """Print what a study came to; return its exit code."""
    from optbench.tuning.pictures import draw
    from optbench.tuning.report import command, importances, rows_of, warnings_of, write_recipe

    study, best = searched.study, searched.study.best()
    folder = shell_word(shown(study.folder))
    header, rows = rows_of(study)
    if rows:
        print_table(f"study {shown(study.folder)}", header, rows)
    else:
        print_text(f"study {shown(study.folder)}: no trial has a score yet")
    if best is not None:
        found = importances(study)
        if found:
            print_text(f"\nwhat decides (PED-ANOVA): {', '.join(found)}")
        for line in warnings_of(study, best):
            print_lines(line) if line.startswith("  ") else print_text(line)
        recipe = write_recipe(study, best, searched.recipe or {})
        print_text(f"\nthe best as a recipe: {shown(recipe)}")
        print_lines(f"\n  {command(study, searched.lines)}")
    print_lines(f"  tensorboard --logdir {folder}")
    left = study.plan.trials - len(study.tried())
    if left:
        print_lines(f"  optbench resume {folder}")
    if rows:
        print_text(f"\n{draw(study, shown(study.folder))}")
    if searched.signal:
        return 128 + searched.signal
    return EXIT_LEFT if left or best is None else 0
