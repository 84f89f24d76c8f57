"""What a meta-training is to do: its words on the command line, and `meta-train.yaml`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from optbench.config.suggest import did_you_mean
from optbench.errors import UserError, reason
from optbench.files import BadFile, load_yaml, parse_yaml
from optbench.tuning.plan import read_sealed, write_sealed
from optbench.which_run import META

VERSION = 1
"""Of meta-trainings, higher with each change that older versions can't go on with."""
MOST = 10_000_000
_CHOICES = {
    "architecture": ("mlp", "lstm"),
    "gradient": ("tbptt", "pes"),
}
_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, MOST),
    "until": (0, MOST),
    "tasks": (1, 4096),
    "unroll": (1, 10_000),
    "shortest": (1, MOST),
    "longest": (1, MOST),
    "lr": (0, 1e3),
    "weight_decay": (0, 1e3),
    "clip": (1e-9, 1e9),
    "sigma": (1e-9, 1e3),
    "seed": (0, 2**63 - 1),
    "threads": (1, 4096),
    "checkpoint_every": (1, MOST),
}
_OTHERS = ("out", "folder", "recipe")
FAMILIES = ("quadratic", "teacher", "digits")


@dataclass(frozen=True)
class MetaPlan:
    """What is trained, and how.

    Attributes:
        architecture: of the learned optimizer.
        gradient: `tbptt` or `pes`.
        families: of tasks.
        steps: of the meta-optimizer, AdamW, whose lr falls to 0 as a cosine.
        until: the last meta-step that is taken, 0 for all; the lr is as without.
        tasks: at once.
        unroll: steps that a task takes in each meta-step.
        shortest, longest: steps after which a task is over; between them, log-uniform.
        second: differentiate inner gradients too.
        lr, weight_decay: of AdamW.
        clip: largest norm of the meta-gradient.
        sigma: of the noise of PES.
        seed: of all that is drawn.
        threads: of this process.
        checkpoint_every: meta-steps.
        out: file for the weights.
    """

    architecture: str = "mlp"
    gradient: str = "tbptt"
    families: Sequence[str] = FAMILIES
    steps: int = 2000
    until: int = 0
    tasks: int = 4
    unroll: int = 20
    shortest: int = 20
    longest: int = 200
    second: bool = True
    lr: float = 1e-3
    weight_decay: float = 0.0
    clip: float = 1.0
    sigma: float = 0.01
    seed: int = 0
    threads: int = 1
    checkpoint_every: int = 50
    out: str = ""
    version: int = field(default=VERSION)

    @property
    def end(self) -> int:
        """The number of the last meta-step."""
        return min(self.until or self.steps, self.steps)

    def recipe(self) -> dict[str, Any]:
        """Return the words that would do the same."""
        said = dataclasses.asdict(self) | {"families": [*self.families]}
        return {key: value for key, value in said.items() if key not in ("out", "version")}


WORDS = tuple(each.name for each in dataclasses.fields(MetaPlan) if each.name != "version")


def asked(arguments: Sequence[str]) -> tuple[MetaPlan, str]:
    """Return what a command line asks for, and in which folder.

    Raises:
        UserError: a word that there is not, or a value that it can't have.
    """
    said: dict[str, Any] = {}
    for word in _assigned(arguments):
        key, _, text = word.partition("=")
        if key not in WORDS + _OTHERS:
            raise UserError(f"{word}: no such key; {did_you_mean(key, WORDS + _OTHERS)}")
        said[key] = text if key in _OTHERS else parse_yaml(text, word)
    recipe = said.pop("recipe", None)
    values = {**(_read_recipe(recipe) if recipe else {}), **said}
    folder = str(values.pop("folder", "")) or _usual_folder()
    checked = {key: _checked(key, value) for key, value in values.items()}
    plan = MetaPlan(**checked)
    if plan.shortest > plan.longest:
        raise UserError(f"shortest={plan.shortest}: more than longest={plan.longest}")
    if plan.out:
        _check_out(plan.out)
        plan = dataclasses.replace(plan, out=os.path.abspath(os.path.expanduser(plan.out)))
    return plan, folder


def _assigned(arguments: Sequence[str]) -> list[str]:
    """Return the words of a command line as `key=value`, `--out FILE` too."""
    found: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word in ("--out", "-o"):
            if not rest:
                raise UserError(f"{word}: which file? --out FILE")
            found.append(f"out={rest.pop(0)}")
        elif word.startswith("--out="):
            found.append(word[2:])
        elif word.startswith("-"):
            raise UserError(f"{word}: no such flag of meta-train; there are --out and --help")
        elif "=" not in word:
            raise UserError(f"{word}: expected key=value; optbench resume FOLDER goes on with one")
        else:
            found.append(word)
    return found


def _read_recipe(path: str) -> Mapping[str, Any]:
    try:
        said = load_yaml(_home(path, "recipe"))
    except OSError as error:
        raise UserError(f"recipe={path}: {reason(error)}") from None
    if not isinstance(said, dict):
        raise BadFile(f"recipe={path}: expected key: value")
    for key in said:
        if key not in WORDS:
            raise UserError(f"recipe={path}: {key}: no such key; {did_you_mean(str(key), WORDS)}")
    return said


def _checked(key: str, value: Any) -> Any:
    """Return a word's value in its type; raise UserError for one that it can't have."""
    said = f"{key}={value}"
    if key == "out":
        return str(value)
    if key in _CHOICES:
        if value not in _CHOICES[key]:
            raise UserError(f"{said}: {did_you_mean(str(value), _CHOICES[key])}")
        return value
    if key == "families":
        several = [value] if isinstance(value, str) else value
        if not isinstance(several, list) or not several or len({*map(str, several)}) < len(several):
            raise UserError(f"{said}: expected a list of families, such as [quadratic, digits]")
        for each in several:
            if each not in FAMILIES:
                raise UserError(f"families={each}: {did_you_mean(str(each), FAMILIES)}")
        return several
    if key == "second":
        if not isinstance(value, bool):
            raise UserError(f"{said}: expected true or false")
        return value
    low, high = _RANGES[key]
    whole = isinstance(getattr(MetaPlan, key), int)
    number = _number(value)
    if number is None or not low <= number <= high or (whole and number != int(number)):
        kind = "a whole number" if whole else "a number"
        raise UserError(f"{said}: expected {kind} from {low:g} to {high:g}")
    return int(number) if whole else float(number)


def _number(value: Any) -> float | None:
    """Return a number, of `1e-3` too, which YAML has for a text; whole ones as they are."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, int):  # there are some that no float is large enough for
        return value
    try:
        return float(value)
    except ValueError:
        return None


def _check_out(out: str) -> None:
    path = _home(out, "out")
    if path.suffix != ".safetensors":
        raise UserError(f"out={out}: expected a file that ends in .safetensors")
    if os.path.lexists(path):
        raise UserError(f"out={out}: it is there already")
    if not path.absolute().parent.is_dir():
        raise UserError(f"out={out}: there is no folder {path.absolute().parent}")


def _home(path: str, key: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(f"{key}={path}: {error}") from None


def _usual_folder() -> str:
    now = datetime.now()
    return f"runs/meta/{now:%Y-%m-%d}/{now:%H-%M-%S}"


def write_plan(folder: Path, plan: MetaPlan) -> None:
    """Write a meta-training's plan into its folder."""
    write_sealed(folder / META, plan)


def read_plan(folder: Path) -> MetaPlan:
    """Read the plan of a meta-training's folder; raise UserError as `read_sealed` does."""
    return read_sealed(folder / META, MetaPlan, VERSION)
