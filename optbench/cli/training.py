"""The verbs `train` and `resume`: flags and overrides, then one run or many."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from typing import Any, NoReturn

from optbench.cli.flags import RESUMES, TRAINS, no_such_flag, refuse_words_of_flags
from optbench.compose import hydra_internals
from optbench.compose.composer import hydra_session, keys_of
from optbench.compose.config_source import CheckedFolders
from optbench.compose.paths import configs_folder
from optbench.compose.plugins import hydras_own
from optbench.config.declared import SETTINGS
from optbench.config.run_spec import RunSpec
from optbench.config.suggest import did_you_mean
from optbench.console import print_lines, print_text
from optbench.errors import UserError
from optbench.files import dump_yaml
from optbench.rundir import RunDir, path_of
from optbench.runs.restart import begun_before, has_begun

WITH_RESUME = {"at": "branch", "to": "branch", "trust": "run that somebody else began"}
"""Flags that go with `resume` alone, and what they are for."""
HYDRA = "Hydra (https://hydra.cc) composes the config. Groups of its own, of sweeps:"


def train(arguments: Sequence[str]) -> int:
    """Do what the arguments after `train` say; return the exit code."""
    return _training("train", arguments)


def resume(arguments: Sequence[str]) -> int:
    """Do what the arguments after `resume` say; return the exit code."""
    return _training("resume", arguments)


def _training(verb: str, arguments: Sequence[str]) -> int:
    flags = parse(arguments, (*TRAINS, *RESUMES) if verb == "resume" else TRAINS)
    overrides = list(flags.overrides)
    if verb == "resume":
        overrides = _with_run(overrides)
    run = [line.partition("=")[2] for line in overrides if line.startswith("resume=")]
    rest = [line for line in overrides if not line.startswith("resume=")]
    if run and not run[-1]:
        raise UserError("resume=: which run? optbench resume RUN [overrides]")
    for flag, why in WITH_RESUME.items():
        if getattr(flags, flag) not in (None, False) and (not run or run[-1] == "null"):
            raise UserError(f"--{flag}: with resume only, for a {why}")
    for flag in ("package", "resolve"):
        if getattr(flags, flag) and not flags.cfg:
            raise UserError(f"--{flag}: with --cfg job only, which prints the config")
    if run and run[-1] != "null":
        refuse_words_of_flags(rest)
        if not path_of(run[-1]).is_dir():
            RunDir.existing(run[-1], sweep=True)  # says what is wrong with it
        for flag in ("multirun", "info"):
            if getattr(flags, flag):
                raise UserError(f"--{flag}: not with resume, which goes on with a run's own config")
        from optbench.cli.resume import resume

        branch = {"at": flags.at, "to": flags.to}
        return resume(run[-1], rest, flags.config_dir, bool(flags.cfg), flags.trust, **branch)
    before = begun_before()
    if before is not None and has_begun(before):
        from optbench.cli.resume import resume

        return resume(str(before), [], flags.config_dir, trust=flags.trust)
    with hydra_session(flags.config_dir) as composer:
        if flags.hydra_help:
            print_text("\n".join([HYDRA, *hydras_own(composer.loader)]))
            return 0
        if flags.cfg or flags.info:
            if flags.multirun:
                raise UserError("--cfg --multirun: one of them; a grid has many configs")
            spec = composer.spec(composer.compose(rest), rest)
            if flags.cfg == "job":
                print_lines(_part(spec.plain, flags.package).rstrip("\n"))
                return 0
            options = [word for word in arguments if word not in flags.overrides]
            return hydra([*composer.lines(rest), *options])  # Hydra wants them in one piece
        if flags.multirun:
            from optbench.cli.sweep import sweep

            return sweep(composer, rest)
        spec = composer.spec(composer.compose(rest), rest)
    _refuse_of_sweeps(spec, rest)
    if spec.config.resume:
        raise UserError(f"resume={spec.config.resume}: as resume=RUN on the command line only")
    # Only now: what is wrong with the config has been said before they are imported.
    from optbench.cli.report import finish
    from optbench.runs.execute import execute
    from optbench.runs.log import Log

    log = Log()
    return finish(execute(spec, log, None if before is None else RunDir(before)), log)


def _refuse_of_sweeps(spec: RunSpec, overrides: Sequence[str]) -> None:
    """Refuse a setting of a sweep that one run would leave unused."""
    for line, key in zip(overrides, keys_of(overrides), strict=True):
        own = key.startswith("sweep.") and getattr(spec.config.sweep, key.partition(".")[2])
        if own and own != SETTINGS[key].default:
            raise UserError(f"{line}: of several runs; write -m")


def _with_run(words: list[str]) -> list[str]:
    """Return what follows `resume` as overrides, the first of which names the run."""
    named = words[:1]
    if named in ([], [""], ["null"]) or ("=" in named[0] and not path_of(named[0]).is_dir()):
        raise UserError("resume: which run? optbench resume RUN [overrides]")
    for word in words[1:]:
        if "=" not in word and not word.startswith("~") and path_of(word).is_dir():
            raise UserError(f"{word}: a second folder; optbench resume goes on with one")
    return [f"resume={words[0]}", *words[1:]]


def parse(
    arguments: Sequence[str], known: Sequence[str] = TRAINS, words: Sequence[str] = ()
) -> Namespace:
    """Parse Hydra's flags and the overrides; raise UserError for a flag that there is not.

    Args:
        known: the flags that may have been meant. None can be shortened.
        words: of the verb, as `trials`.
    """
    parser = hydra_internals.flags()
    parser.allow_abbrev = False
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--at")
    parser.add_argument("--to")

    def refuse(message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ")
        for word in arguments:
            if unknown != message and word.startswith("-") and unknown.startswith(word):
                raise no_such_flag(word, arguments, known, words=words)
        flag, _, what = message.removeprefix("argument ").partition(": ")
        name = max(flag.split("/"), key=len)
        raise UserError(f"{name}: {'it wants a value' if what.startswith('expected') else what}")

    parser.error = refuse  # type: ignore[method-assign]
    flags = parser.parse_intermixed_args(list(arguments))
    if "--multirun" not in known and (flags.at or flags.to or flags.trust):
        raise UserError(f"{', '.join(RESUMES)}: with resume only")
    if flags.shell_completion:
        raise UserError("-sc: before any verb, optbench -sc install=bash")
    for name in ("config_path", "config_name", "experimental_rerun"):
        if getattr(flags, name, None) is not None:
            option = name.replace("_", "-")
            raise UserError(f"--{option}: not here; a user's own configs go with --config-dir")
    return flags


def _part(plain: Mapping[str, Any], package: str | None) -> str:
    """Return a run's config as YAML, or what is below a dotted key, headed as Hydra heads it."""
    if not package or package == "_global_":
        return dump_yaml(plain)
    found: Any = plain
    for part in package.split("."):
        if not isinstance(found, Mapping) or part not in found:
            known = list(found) if isinstance(found, Mapping) else []
            raise UserError(f"--package {package}: no such key; {did_you_mean(part, known)}")
        found = found[part]
    return f"# @package {package}\n{dump_yaml(found)}"


def hydra(arguments: Sequence[str]) -> int:
    """Let Hydra answer its own flags (`--cfg`, `--info`, completion).

    It prints as it likes, so its text is printed once all of it is there: a pipe that nobody reads
    any more, `| head`, is no error of Hydra's then.
    """
    from hydra import main
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    sys.argv = [sys.argv[0], *arguments]
    asked = main(version_base="1.3", config_path=str(configs_folder()), config_name="config")
    with redirect_stdout(StringIO()) as said, hydra_internals.loaders_reading(CheckedFolders):
        asked(lambda config: None)()
    print_lines(said.getvalue().removesuffix("\n"))
    return 0
