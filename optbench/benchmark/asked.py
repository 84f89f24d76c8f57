"""What a command line asks of a benchmark: its own words, and what is of its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optbench.benchmark.contenders import Contender, contenders
from optbench.benchmark.suite import Suite, read_suite
from optbench.compose.composer import Composer, keys_of
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.tuning.words import Said, as_word, count, words_of

GROUP = "suite"
WORDS = (GROUP, "optimizers", "schedules", "trials", "seeds", "search")
TRIALS, SEEDS = 5, 10
LENGTHS = ("steps", "epochs")
NONE = "none"


@dataclass(frozen=True)
class Asked:
    """What is asked of a benchmark.

    Attributes:
        suite: of which each workload's overrides are those of its runs, whatever their optimizer.
        optimizers: that take part, with each schedule where some are listed.
        schedules: these.
        trials, seeds: of each.
        seed: with which is tuned.
    """

    suite: Suite
    optimizers: Sequence[Contender]
    trials: int
    seeds: int
    seed: int
    schedules: Sequence[str] | None = None


def asked(composer: Composer, overrides: Sequence[str]) -> Asked:
    """Return what is asked.

    Raises:
        UserError: a word that is not valid, no suite, no optimizers.
    """
    said, rest = words_of(composer, overrides, WORDS)
    trials = count(said, "trials") or TRIALS
    seeds = count(said, "seeds") or SEEDS
    _refuse_own(rest, GROUP in said, "schedules" in said)
    if "optimizers" not in said:
        raise UserError(
            "benchmark: which optimizers? optimizers=[sgd,adamw]; optbench list optimizer"
        )
    suite = _suite(composer, said, rest)
    schedules = said.get("schedules")
    found = contenders(composer, said["optimizers"], said.get("search"), schedules)
    seed = composer.spec(composer.compose(rest), rest).config.seed
    return Asked(suite, found, trials, seeds, seed, schedules)


def _refuse_own(rest: Sequence[str], with_suite: bool, crossed: bool) -> None:
    """Refuse overrides that the benchmark itself says of its runs."""
    for line in rest:
        key, _, text = line.lstrip("+~").partition("=")
        key = key.partition("@")[0]
        if key == "optimizer" or (key == "schedule" and _is_list(text) and not crossed):
            raise UserError(f"{line}: write {as_word(f'{key}s', text)}")
        if key == "space":
            raise UserError(f"{line}: of one optimizer: search={{NAME: {text}}}")
        if key.startswith("optimizer."):
            raise UserError(
                f'{line}: of one optimizer: \'optimizers=[{{NAME: ["optimizer=NAME", "{line}"]}}]\''
            )
        if key == "schedule" and crossed:
            raise UserError(f"{line}: beside schedules=[...]; one of them")
        if key == "eval.test":
            raise UserError(f"{line}: the test set is scored at the end, of what was chosen")
        if key == "workload" and with_suite:
            raise UserError(f"{line}: beside {GROUP}=NAME; one of them")


def _is_list(text: str) -> bool:
    """Return whether a value is several names, in brackets or without."""
    return text.startswith("[") or ("," in text and "(" not in text)


def _suite(composer: Composer, said: Said, rest: Sequence[str]) -> Suite:
    """Return the suite with the command line's overrides, or the one problem of these."""
    name = said.get(GROUP)
    if name is None:
        spec = composer.spec(composer.compose(rest), rest)
        choices = spec.choices
        own = f"{choices['dataset']}-{choices['model']}"
        return Suite("", {own if choices["workload"] == NONE else choices["workload"]: list(rest)})
    options = composer.files.options(GROUP)
    if str(name) not in options:
        raise UserError(f"{said.line(GROUP)}: no such suite; {did_you_mean(str(name), options)}")
    known = [each for each in composer.files.options("workload") if each != NONE]
    suite = read_suite(composer.files.file(GROUP, str(name)), str(name), known)
    found = {each: with_overrides(lines, rest) for each, lines in suite.workloads.items()}
    return Suite(suite.name, found, suite.source)


def with_overrides(lines: Sequence[str], more: Sequence[str]) -> list[str]:
    """Return overrides with further ones, which hold where both say something of a key."""
    keys = set(keys_of(more))
    if keys & set(LENGTHS):
        keys |= set(LENGTHS)
    kept = [line for line, key in zip(lines, keys_of(lines), strict=True) if key not in keys]
    return [*kept, *more]
