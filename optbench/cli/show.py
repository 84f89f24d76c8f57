"""The verb `show`: the curve of a schedule, without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from optbench.assemble.curves import Curves, curves_of
from optbench.cli.training import parse
from optbench.compose.composer import hydra_session
from optbench.compose.players import choice_key
from optbench.config.run_spec import RunSpec
from optbench.console import OUT, picture_width, print_lines
from optbench.errors import UserError
from optbench.escape import escaped
from optbench.plots import png
from optbench.plots.terminal import ascii_only, curve


def show(arguments: Sequence[str]) -> int:
    """Run `optbench show [--png FILE] [overrides of train]`; return the exit code."""
    rest, path = _png(arguments)
    flags = parse(rest, ("--png", "--config-dir", "--help"))
    for flag in ("multirun", "cfg", "info", "hydra_help"):
        if getattr(flags, flag):
            raise UserError(f"--{flag.replace('_', '-')}: not with show, which draws one config")
    if path:
        png.require()
    overrides = list(flags.overrides)
    with hydra_session(flags.config_dir) as composer:
        spec = composer.spec(composer.compose(overrides), overrides)
    if spec.config.resume:
        raise UserError(f"resume={spec.config.resume}: not with show, which trains nothing")
    curves = curves_of(spec.config)
    print_lines(_text(curves, spec))
    if path:
        pictures = pictures_of(curves, _title(spec))
        png.save_sheet(path, pictures, columns=1, size=(6.4, 4.0 if len(pictures) == 1 else 3.0))
        print_lines(f"\n{escaped(path)}")
    return 0


def _png(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Split off `--png FILE`; return the other arguments, and the file."""
    rest, path, given = [], None, iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name == "--png":
            path = value if equals else next(given, "")
            if not path or path.startswith("-"):
                raise UserError("--png: into which file? --png FILE")
            if Path(path).suffix.lower() != ".png":
                raise UserError(f"--png {path}: expected a file that ends in .png")
        else:
            rest.append(argument)
    return rest, path


def _title(spec: RunSpec) -> str:
    """Return the title: the schedule, or each player's."""
    if not spec.config.player:
        return _schedule(spec.choices["schedule"], spec.config.schedule)
    each = spec.config.players.items()
    return "; ".join(
        f"{name}: {_schedule(spec.choices[choice_key(name, 'schedule')], own.schedule)}"
        for name, own in each
    )


def _schedule(choice: str, node: Mapping[str, Any]) -> str:
    warmup = node.get("warmup_steps")
    return f"{choice}, warmup {warmup}" if warmup else choice


def _text(curves: Curves, spec: RunSpec) -> str:
    steps = curves.steps
    epochs = (steps[-1] + 1) / curves.epoch
    count = f"{steps[-1] + 1} step{'s' * (steps[-1] > 0)}"
    lines = [f"{_title(spec)}: {count}, {epochs:.4g} epochs of {curves.epoch}", ""]
    series = {name: (steps, values) for name, values in curves.rates.items()}
    draw = partial(curve, width=picture_width(), x_label="step", ascii_only=ascii_only(OUT))
    lines.append(draw(series, y_label="lr"))
    for name, values in curves.others.items():
        lines += ["", draw({name: (steps, values)}, height=8, y_label=name)]
    if curves.reacts:
        lines += ["", f"{', '.join(curves.reacts)} reacts to the run: this is how it starts."]
    return "\n".join(lines)


def pictures_of(curves: Curves, title: str) -> list[png.Picture]:
    """Return pictures of the learning rates, and of each other setting that is scheduled."""
    rates = {name: (curves.steps, values) for name, values in curves.rates.items()}
    pictures = [png.Picture(rates, title, "step", "learning rate")]
    for name, values in curves.others.items():
        pictures.append(png.Picture({name: (curves.steps, values)}, "", "step", name))
    return pictures
