"""The verb `draw`: paths and loss gaps of runs on test functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optbench.config.suggest import flag_meant
from optbench.console import print_lines, print_table
from optbench.errors import UserError
from optbench.escape import escaped
from optbench.plots import contour, gaps, png
from optbench.runs.function_pictures import gaps_of, paths
from optbench.runs.function_runs import FunctionRun, named, read_all

FLAGS = ("--to", "--fit", "--animate")


@dataclass(frozen=True)
class DrawArguments:
    """What the command line asks for.

    Attributes:
        runs: folders of runs, or of sweeps.
        to: where the pictures go; None is the run's folder, or the one that holds the first of
            several.
        fit: first and last step of the fitted lines; None is the last nine tenths of each run.
        animate: whether there is to be an animation.
    """

    runs: list[str]
    to: str | None
    fit: tuple[int, int] | None
    animate: bool


PICTURES = ("paths.png", "paths.gif", "gaps.png")


def draw(arguments: Sequence[str]) -> int:
    """Run `optbench draw RUN... [--to FOLDER] [--fit FROM:TO] [--animate]`; return the code."""
    asked = read(arguments)
    png.require()
    runs = read_all(asked.runs)
    plane = runs[0].points is not None
    if not plane and asked.animate:
        raise UserError(f"--animate: {runs[0].function} has no plane to draw a path on; dim=2 has")
    folder = Path(asked.to) if asked.to else _usual_folder(runs)
    for name in () if asked.to else PICTURES:
        if (folder / name).is_symlink():
            raise UserError(f"{folder / name}: a link, where a file is meant")
    files = []
    names = named(runs)
    if plane:
        files.append(folder / "paths.png")
        landscape, trails = paths(runs, names)
        contour.save(files[-1], [(landscape, trails)])
        if asked.animate:
            files.append(folder / "paths.gif")
            contour.animate(files[-1], landscape, trails)
    curves = [gaps_of(run, name, asked.fit) for run, name in zip(runs, names, strict=True)]
    files.append(folder / "gaps.png")
    gaps.save(files[-1], curves, runs[0].function)
    _say(curves, runs)
    print_lines("\n".join(escaped(str(file)) for file in files))
    return 0


def read(arguments: Sequence[str]) -> DrawArguments:
    """Read the runs and the flags.

    Raises:
        UserError: no run, a flag that there is not, or a value that it can't have.
    """
    runs, to, steps, animate = [], None, None, False
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name in ("--to", "--fit"):
            value = value if equals else next(given, "")
            if not value or value.startswith("-"):
                what = "into which folder? --to FOLDER" if name == "--to" else "--fit FROM:TO"
                raise UserError(f"{name}: {what}")
            to, steps = (value, steps) if name == "--to" else (to, _range(value))
        elif argument == "--animate":
            animate = True
        elif argument.startswith("-"):
            if name in FLAGS:
                raise UserError(f"{name}: it takes no value")
            match = flag_meant(name, (*FLAGS, "--help"))
            hint = f"did you mean {match}?" if match else f"draw takes {', '.join(FLAGS)}"
            raise UserError(f"{name}: no such flag; {hint}")
        else:
            runs.append(argument)
    if not runs or not all(runs):
        raise UserError("draw: which runs? optbench draw RUN...")
    return DrawArguments(runs, to, steps, animate)


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and int(first)):
        raise UserError(f"--fit {text}: two steps, such as 10:1000")
    if int(first) >= int(last):
        raise UserError(f"--fit {text}: FROM:TO, and {first} is not before {last}")
    return int(first), int(last)


def _usual_folder(runs: Sequence[FunctionRun]) -> Path:
    first = runs[0].folder
    return first if len(runs) == 1 else first.parent


def _say(curves: Sequence[gaps.Gaps], runs: Sequence[FunctionRun]) -> None:
    """Print the fitted rates as a table."""
    rows = []
    for curve, run in zip(curves, runs, strict=True):
        power, linear = curve.power, curve.linear
        none = "diverged" if run.diverged else "too few points"
        over = f"{power.first} to {power.last}" if power else none
        lines = [line.words if line else "" for line in (power, linear)]
        rows.append([curve.name, f"{curve.gaps[-1]:.4g}", str(curve.steps[-1]), over, *lines])
    header = ["run", "loss gap", "at step", "fitted to steps", "power law", "linear rate"]
    print_table("", header, rows)
