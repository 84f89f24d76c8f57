"""The program: which verb, and what its errors mean to the shell."""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import NamedTuple

from optbench.console import print_error, print_lines
from optbench.errors import OwnCodeError, UserError, memory_wanting, of_a_path, reason
from optbench.escape import NOTHING
from optbench.runs.collector import at_rest
from optbench.runs.own_code import import_from_here
from optbench.runs.ranks import tell
from optbench.version import __version__

EXIT_FAILED, EXIT_BAD_INPUT = 1, 2
FLAGS = ("--help", "--version", "--shell-completion")


class Verb(NamedTuple):
    """What a verb does, and where.

    Attributes:
        group: under which `--help` has it.
        home: module of `optbench.cli`, or with dots of `optbench`, and function, which takes the
            words after the verb.
        what: in a line, with an example.
    """

    group: str
    home: str
    what: str


VERBS = {
    "train": Verb(
        "train", "training:train", "train a model: optbench train optimizer=adamw schedule=cosine"
    ),
    "resume": Verb(
        "train",
        "training:resume",
        "go on with an interrupted run or sweep: optbench resume RUN [overrides]",
    ),
    "find-lr": Verb(
        "train",
        "find_lr:find_lr",
        "learning rate range test: optbench find-lr optimizer=sgd model=2c2d",
    ),
    "tune": Verb("train", "tune:tune", "search for settings: optbench tune space=adamw trials=30"),
    "pbt": Verb(
        "train", "pbt:pbt", "settings that change as it trains: optbench pbt space=adamw members=8"
    ),
    "meta-train": Verb(
        "train",
        "meta.meta_train:begin",
        "a learned optimizer: optbench meta-train steps=2000 --out FILE",
    ),
    "recommend": Verb(
        "train",
        "recommend:recommend",
        "which recipe, and why: optbench recommend [model=gpt dataset=text]",
    ),
    "list": Verb("look", "listing:listing", "what can be chosen: optbench list [GROUP]"),
    "show": Verb(
        "look",
        "show:show",
        "draw a schedule without training: optbench show schedule=cosine [--png FILE]",
    ),
    "draw": Verb(
        "look",
        "draw:draw",
        "paths and rates of runs on test functions: optbench draw RUN... [--animate]",
    ),
    "evaluate": Verb(
        "look",
        "evaluate:evaluate",
        "score a checkpoint of a run: optbench evaluate RUN [--at best|last|STEP]",
    ),
    "export": Verb(
        "look",
        "export:export",
        "a run's weights as a plain state dict: optbench export RUN -o FILE",
    ),
    "check": Verb(
        "diagnose",
        "check.verb:check",
        "can it train? before it does: optbench check model=2c2d",
    ),
    "probe": Verb(
        "diagnose",
        "probe.verb:begin",
        "curvature and more at checkpoints: optbench probe RUN [--at best|last|all|STEP]",
    ),
    "doctor": Verb(
        "diagnose",
        "doctor.doctor:doctor",
        "what looks wrong in runs, and what helps: optbench doctor RUN... [--json]",
    ),
    "benchmark": Verb(
        "compare",
        "benchmark:benchmark",
        "which optimizer is best: optbench benchmark suite=quick optimizers=[sgd,adamw]",
    ),
    "claim": Verb(
        "compare", "claims.verb:claim", "the textbook's sentences, tested: optbench claim [NAME]"
    ),
    "runs": Verb(
        "compare", "past:runs", "past runs side by side: optbench runs [FOLDER...] [state=finished]"
    ),
    "compare": Verb(
        "compare", "compare:compare", "which is better, and how sure: optbench compare [FOLDER...]"
    ),
    "report": Verb(
        "compare",
        "page:report",
        "all of it as one page: optbench report [FOLDER...] -o report.html",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code, 2 for bad input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="replace")  # a terminal in ASCII gets question marks
    try:
        import_from_here()
        with at_rest():
            return _dispatch(arguments)
    except UserError as error:
        tell(error)
        begun = error.begun or isinstance(error, OwnCodeError)
        return EXIT_FAILED if begun else EXIT_BAD_INPUT
    except KeyboardInterrupt:
        with suppress(KeyboardInterrupt):  # once more, by who presses twice
            print_error("optbench: interrupted")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # a full disk, a read-only one, too many open files
        print_error(f"optbench: {reason(error)}")
        return EXIT_BAD_INPUT if of_a_path(error) else EXIT_FAILED
    except Exception as error:
        wanting = memory_wanting(error)
        if wanting is None:
            raise
        print_error(f"optbench: {wanting}")
        return 1


def _verb_meant(word: str, rest: Sequence[str]) -> str:
    """Return what was meant by a word that is no verb; the verb may have been left out."""
    from optbench.config.suggest import did_you_mean, nearest

    if "=" in word or word in ("-m", "--multirun", "--cfg"):
        return f"did you mean optbench train {shlex.join([word, *rest])}?"
    if word == "run":
        return "did you mean train, or runs?"
    flag = word.startswith("-") or nearest(word, FLAGS) is not None
    return did_you_mean(word, FLAGS if flag else VERBS)


def _dispatch(arguments: list[str]) -> int:
    helps = bool(arguments) and arguments[0] in ("-h", "--help", "help")
    if helps and arguments[1:]:
        arguments = [arguments[1], "--help"]
    elif helps or not arguments:
        from optbench.cli import help as texts

        print_lines(texts.program(VERBS).rstrip("\n"))
        return 0
    if "--version" in arguments:
        print_lines(f"optbench {__version__}")
        return 0
    if arguments[0] in ("-sc", "--shell-completion", "--shell_completion"):
        from optbench.cli.training import hydra
        from optbench.completion import completion

        return completion(arguments, VERBS, hydra)
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        what = "flag" if verb.startswith("-") else "verb"
        raise UserError(f"{verb or NOTHING}: no such {what}; {_verb_meant(verb, rest)}")
    if "-h" in rest or "--help" in rest:
        from optbench.cli import help as texts

        print_lines(texts.verb(verb).rstrip("\n"))
        return 0
    module, _, function = VERBS[verb].home.partition(":")
    try:
        home = import_module(f"optbench.{module if '.' in module else f'cli.{module}'}")
        done: int = getattr(home, function)(rest)
    except UserError as error:  # SeveralValues, which a composer alone can raise
        if verb != "train" and hasattr(error, "needing"):
            raise error.needing(f"optbench train -m, {verb} takes one") from None
        raise
    return done
