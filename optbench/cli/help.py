"""What `--help` says: help_texts/VERB.txt, filled with what is declared elsewhere.

Imports nothing heavy: help comes at once.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from optbench.cli.listing import groups
from optbench.config.declared import FIXED, SETTINGS

if TYPE_CHECKING:
    from optbench.cli.main import Verb

TEXTS = Path(__file__).with_name("help_texts")
WIDTH = 80
"""Of every line here, whatever the terminal's."""

_MORE = {
    "optimizer.lr=1e-3": "any key of a chosen group",
    "schedule.warmup_steps=5%": "steps (100), epochs (5ep) or a part of the run (10%)",
    "dataset.val_fraction=0.1": "validation set, split off the training set",
    "hydra.run.dir=FOLDER": "a run folder of your own choice",
}
"""Examples of keys that are no settings of the run itself."""


def _keys() -> str:
    """Return the settings that have an example, as they are declared, and some other keys."""
    examples = {each.example: each.help for each in SETTINGS.values() if each.example} | _MORE
    lines = [line for example, text in examples.items() for line in _key(example, text)]
    return "\n".join(["keys", *lines, _text("keys")])


def _key(example: str, text: str) -> list[str]:
    """Return a line for a key, or more where its text does not fit one of 80 columns."""
    first, *others = textwrap.wrap(text, 49) or [""]
    return [f"  {example:<28} {first}".rstrip(), *(f"{'':<31}{line}" for line in others)]


def _instruments() -> str:
    """Return the instruments of `probe` and their sets, each in a line or more."""
    from optbench.instruments.names import CLASSES, SETS, what_of

    sets = {name: f"together: {', '.join(members)}" for name, members in SETS.items()}
    lines = []
    for name, what in {**{name: what_of(name) for name in CLASSES}, **sets}.items():
        first, *others = textwrap.wrap(what, WIDTH - 19)
        lines += [f"  {name:<16} {first}", *(f"{'':<19}{line}" for line in others)]
    return "\n".join(lines)


def _symptoms() -> str:
    """Return the doctor's rules, and how many of their alarms were right."""
    from optbench.symptoms.measured import ALARMS
    from optbench.symptoms.rules import RULES

    lines = []
    for rule in RULES:
        right, alarms = ALARMS.get(rule.name, (0, 0))
        said = f"{right} of {alarms} right" if alarms else "not measured"
        more = [said, *(["off"] if not rule.default else []), *(["at the end"] * rule.at_end)]
        wrapped = textwrap.wrap(f"{rule.help} ({', '.join(more)})", WIDTH - 21)
        first, *others = wrapped
        lines += [f"  {rule.name:<18} {first}", *(f"{'':<21}{line}" for line in others)]
    return "\n".join(lines)


def program(verbs: Mapping[str, Verb]) -> str:
    """Return `optbench --help`."""
    parts = []
    for group in dict.fromkeys(verb.group for verb in verbs.values()):
        parts.append(f"\n{group}")
        for name, verb in verbs.items():
            parts += _verb(name, verb.what) if verb.group == group else []
    lines = "\n".join(parts)
    return (
        "optbench: experiments with optimization algorithms in deep learning\n\n"
        "usage: optbench VERB [overrides] [flags]\n"
        f"{lines}\n\n"
        "optbench VERB --help says more. On several GPUs:\n"
        "  torchrun --nproc-per-node 2 -m optbench train ...\n"
        'Tab completion: eval "$(optbench -sc install=bash)"\n'
        "OPTBENCH_TRACEBACK=1 in the environment shows where an error comes from.\n"
        "--version prints the version.\n"
    )


def _verb(name: str, what: str) -> list[str]:
    """Return what a verb does, and its example on a line below where there is no room for both."""
    text, _, example = what.partition(": ")
    if len(what) + 12 <= WIDTH:
        return [f"  {name:<9} {what}"]
    return [f"  {name:<9} {text}:", f"{'':<14}{example}"]


def verb(name: str) -> str:
    """Return `optbench VERB --help`."""
    fixed = ", ".join(FIXED)
    fixed = f"Model, dataset, task, {fixed}, and the optimizer itself with groups, decay and "
    text = _text(name)
    said: dict[str, Callable[[], str]] = {
        "{groups}": lambda: textwrap.fill(" ".join(groups()), WIDTH - 2, subsequent_indent="  "),
        "{keys}": _keys,
        "{flags}": lambda: _text("flags"),
        "{instruments}": _instruments,
        "{symptoms}": _symptoms,
        "{fixed}": lambda: textwrap.fill(f"{fixed}implementation can't change.", WIDTH),
    }
    for mark, words in said.items():
        if mark in text:
            text = text.replace(mark, words())
    return text


def _text(name: str) -> str:
    """Return a text of this name, as it is written."""
    return (TEXTS / f"{name}.txt").read_text(encoding="utf-8")
