"""What `optbench probe` is asked for: its words on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optbench.config.reading import plain_value
from optbench.config.suggest import nearest
from optbench.errors import UserError
from optbench.instruments.names import CLASSES

DEFAULT = ("curvature",)
"""Instruments, where none are named."""
COMMON = ("examples", "split", "mode", "chunk", "seed")
"""What many instruments may be told at once."""
WORDS = ("instruments", "player", *COMMON)
MAY_DIFFER = (
    *("data_root", "device", "threads", "deterministic", "precision"),
    "compile",
)
"""Keys of the run's config whose values may be others as it is looked at."""


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes:
        instruments: names, names of sets, or mappings with a `_target_`.
        settings: arguments by instrument.
        common: arguments for all that have them.
        player: whose parameters; empty for the only one.
        overrides: of the run's config.
    """

    instruments: Sequence[str | Mapping[str, Any]] = DEFAULT
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    common: Mapping[str, Any] = field(default_factory=dict)
    player: str = ""
    overrides: Sequence[str] = ()

    def plain(self, player: str) -> dict[str, Any]:
        """Return it as plain data, with the player that it came to."""
        said = {"instruments": [*self.instruments], **self.common, **self.settings}
        return {**said, "player": player, "overrides": [*self.overrides]}


def asked(words: Sequence[str]) -> Asked:
    """Return what words such as `instruments=[hessian]` and `hessian.top=10` ask for.

    Raises:
        UserError: a word that there is not.
    """
    said: dict[str, Any] = {}
    settings: dict[str, dict[str, Any]] = {}
    overrides = []
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise UserError(f"{word}: expected key=value, such as instruments=[{word}]")
        name, dot, setting = key.partition(".")
        if key in WORDS:
            said[key] = plain_value(text)
        elif name in CLASSES and dot:
            settings.setdefault(name, {})[setting] = plain_value(text)
        elif name.lstrip("+") in MAY_DIFFER:
            overrides.append(word)
        else:
            raise UserError(f"{word}: no such key of probe; {_meant(key)}")
    instruments = said.get("instruments", DEFAULT)
    player = said.get("player", "")
    if not isinstance(player, str):
        raise UserError(f"player={player}: expected a name")
    return Asked(
        instruments=instruments if isinstance(instruments, list | tuple) else [instruments],
        settings=settings,
        common={key: said[key] for key in COMMON if key in said},
        player=player,
        overrides=overrides,
    )


def _meant(key: str) -> str:
    """Return what a key may have meant, or what there is."""
    near = nearest(key, [*WORDS, *MAY_DIFFER])
    if near is not None:
        return f"did you mean {near}?"
    if key in CLASSES:
        return f"did you mean instruments=[{key}]?"
    name, dot, setting = key.partition(".")
    like = nearest(name, CLASSES) if dot else None
    if like is not None:
        return f"did you mean {like}.{setting}?"
    return f"it has {', '.join(WORDS)}, INSTRUMENT.setting, and of the run {', '.join(MAY_DIFFER)}"
