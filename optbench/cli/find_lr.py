"""The verb `find-lr`: the learning rate range test of what `train` would train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optbench.cli.flags import no_such_flag
from optbench.cli.training import parse
from optbench.compose.composer import hydra_session
from optbench.compose.range_test import range_test_config, resolve_player
from optbench.config.suggest import did_you_mean
from optbench.console import print_error
from optbench.errors import UserError
from optbench.launched import launched_ranks
from optbench.search.lr_range import Ramp
from optbench.search.range_runs import range_tests

FLAGS = {
    **{"--from": "1e-7", "--to": "10", "--steps": "100", "--seeds": "3", "--ramp": "exponential"},
    "--player": "",
}
"""With their defaults; a run with one player needs not name it."""
RAMPS = ("exponential", "linear")
HYDRAS = (
    "--config-dir",
    "--multirun",
    "--cfg",
    "--info",
    "--hydra-help",
    "--package",
    "--resolve",
    "--config-path",
    "--config-name",
    "--experimental-rerun",
)
EXIT_NO_SUGGESTION = 1


@dataclass(frozen=True)
class FindLrArguments:
    """What the command line asks for."""

    ramp: Ramp
    seeds: int
    player: str
    overrides: list[str]
    config_dir: str | None


def find_lr(arguments: Sequence[str]) -> int:
    """Run `optbench find-lr [flags] [overrides of train]`; return the exit code."""
    asked = read(arguments)
    with hydra_session(asked.config_dir) as composer:
        spec = composer.spec(composer.compose(asked.overrides), asked.overrides)
        player = resolve_player(spec.config, asked.player)
        config = range_test_config(spec, composer, asked.ramp.steps, player)

    ramp = asked.ramp
    tested = range_tests(spec, config, player, ramp, asked.seeds)
    if tested.signal:
        print_error(f"optbench: interrupted; {tested.folder.path} has no result")
        return 128 + tested.signal
    from optbench.search.report import report

    found = report(spec, ramp, tested, player, asked.config_dir)
    return 0 if found else EXIT_NO_SUGGESTION


def read(arguments: Sequence[str]) -> FindLrArguments:
    """Read the flags and the overrides.

    Raises:
        UserError: a flag that there is not, or a value that it can't have.
    """
    values, rest = dict(FLAGS), []
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name in FLAGS:
            values[name] = value if equals else next(given, "")
        elif name.startswith("--") and name not in HYDRAS:
            if name == "--png":
                raise UserError("--png: no such flag; find-lr.png is always made")
            raise no_such_flag(argument, arguments, (*FLAGS, *HYDRAS[:1], "--help"))
        else:
            rest.append(argument)
    flags = parse(rest, ("--config-dir", "--help"))
    for flag in ("multirun", "cfg", "info", "hydra_help"):
        if getattr(flags, flag):
            name = flag.replace("_", "-")
            raise UserError(f"--{name}: not with find-lr, which tests one config")
    if launched_ranks() > 1:
        raise UserError("find-lr: one process does it; leave out torchrun")
    low, high = _rate("--from", values["--from"]), _rate("--to", values["--to"])
    if low >= high:
        raise UserError(f"--from {values['--from']}: not below --to {values['--to']}")
    if values["--ramp"] not in RAMPS:
        raise UserError(f"--ramp {values['--ramp']}: {did_you_mean(values['--ramp'], RAMPS)}")
    steps = _count("--steps", values["--steps"], 10)
    seeds = _count("--seeds", values["--seeds"], 1)
    ramp = Ramp(low, high, steps, values["--ramp"] == "linear")
    return FindLrArguments(ramp, seeds, values["--player"], list(flags.overrides), flags.config_dir)


def _rate(flag: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UserError(f"{flag} {text}: a learning rate above 0, such as {FLAGS[flag]}")
    return value


def _count(flag: str, text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise UserError(f"{flag} {text}: a whole number, such as {FLAGS[flag]}") from None
    if value < least:
        raise UserError(f"{flag} {text}: at least {least}")
    return value
