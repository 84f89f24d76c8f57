"""The optimizers that take part: how a run gets one, and where its settings are searched."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optbench.compose.composer import Composer
from optbench.compose.quoting import value_text
from optbench.config.flow import flow
from optbench.config.suggest import did_you_mean, nearest
from optbench.config.zoo import zoo
from optbench.errors import UserError
from optbench.search.space import Space, read_space
from optbench.tuning.asked import GROUP, of_file, refuse_fixed

NAME = re.compile(r"[A-Za-z_][\w.+-]*")
OWN_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
CUSTOM, ZOO, BARE = "custom", "zoo", "lr"
"""The choices for a class of somebody's own and for a library's; the space of one that has none."""
DEFAULTS = "defaults"


@dataclass(frozen=True)
class Contender:
    """One optimizer that takes part.

    Attributes:
        name: what it is called here.
        lines: the overrides that give it to a run.
        space: where its settings are searched.
    """

    name: str
    lines: Sequence[str]
    space: Space

    @property
    def choice(self) -> str:
        """Return its file in the group `optimizer`."""
        chosen = [line for line in self.lines if line.startswith("optimizer=")]
        return chosen[-1].partition("=")[2].strip("'\"")

    def as_plain(self) -> dict[str, Any]:
        """Return what stands in a plan for it."""
        plain = self.space.as_plain()
        return {
            "name": self.name,
            "lines": list(self.lines),
            "space": plain,
            "named": self.space.where,
        }


def from_plain(plain: Mapping[str, Any]) -> Contender:
    """Return what `as_plain` gave."""
    return Contender(plain["name"], plain["lines"], read_space(plain["space"], str(plain["named"])))


def contenders(
    composer: Composer, listed: Any, search: Any, schedules: Any = None
) -> list[Contender]:
    """Return the optimizers of a list, each with its space, and with each schedule.

    Args:
        composer: who knows the files.
        listed: names of the group `optimizer`, or of the zoo's; classes, `my.module.Class`;
            `{NAME: one of these, or overrides}`, which may also name several.
        search: spaces by optimizer, each a name of the group `space` or keys with distributions;
            None for the file of the optimizer's name, or else `lr`.
        schedules: names of the group `schedule`: `adamw` becomes `adamw+cosine`, `adamw+constant`;
            None for what the workload says.

    Raises:
        UserError: what is no optimizer, no space, or no schedule.
    """
    said = f"optimizers={flow(listed)}"
    if isinstance(listed, str):
        listed = [listed]
    if isinstance(listed, Mapping):
        listed = [{name: what} for name, what in listed.items()]
    if not isinstance(listed, list) or not listed:
        raise UserError(f"{said}: expected some, such as optimizers=[sgd,adamw]")
    if not isinstance(search, Mapping | None):
        raise UserError(
            f"search={flow(search)}: expected spaces by optimizer, such as "
            "{adamw: {optimizer.lr: {log: [1e-4, 1e-2]}}}"
        )
    found: dict[str, list[str]] = {}
    for item in listed:
        name, lines = _one(composer, item)
        if name in found:
            raise UserError(f"optimizers: {name}: twice; {{other: {name}}} gives it another name")
        found[name] = lines
    for name in search or ():
        if name not in found:
            near = did_you_mean(str(name), list(found))
            raise UserError(f"search: {name}: not among the optimizers; {near}")
    cells = _schedules(composer, schedules)
    return [
        Contender(
            f"{name}+{cell}" if cell else name,
            [*lines, f"schedule={cell}"] if cell else lines,
            _space(composer, name, lines, (search or {}).get(name)),
        )
        for name, lines in found.items()
        for cell in cells
    ]


def _schedules(composer: Composer, listed: Any) -> list[str]:
    """Return the schedules that are crossed with the optimizers; an empty one for none."""
    if listed is None:
        return [""]
    named = [listed] if isinstance(listed, str) else listed
    if not isinstance(named, list) or not named or not all(isinstance(n, str) for n in named):
        raise UserError(
            f"schedules={flow(listed)}: expected some, such as schedules=[constant,cosine]"
        )
    options = composer.files.options("schedule")
    for name in named:
        if name not in options:
            raise UserError(f"schedules: {name}: no such schedule; {did_you_mean(name, options)}")
        if named.count(name) > 1:
            raise UserError(f"schedules: {name}: twice")
    return named


def _one(composer: Composer, item: Any) -> tuple[str, list[str]]:
    """Return name and overrides of one item of the list."""
    if isinstance(item, str):
        lines = _lines(composer, item)
        return (item.rpartition(".")[2] if lines[0].endswith(f"={CUSTOM}") else item), lines
    if not isinstance(item, Mapping) or len(item) != 1:
        raise UserError(
            f"optimizers: {flow(item)}: expected a name, a class such as my.module.Class, "
            "or {NAME: one of these}"
        )
    ((name, what),) = item.items()
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise UserError(f"optimizers: {flow(name)}: can't be a name; expected such as mine")
    if isinstance(what, str):
        return name, _lines(composer, what)
    if not isinstance(what, list) or not what or not all(isinstance(each, str) for each in what):
        raise UserError(
            f"optimizers: {name}: {flow(what)}: expected an optimizer, or overrides such as "
            "['optimizer=adamw', 'optimizer.eps=1e-6']"
        )
    if not any(each.startswith("optimizer=") for each in what):
        raise UserError(f"optimizers: {name}: which optimizer? its overrides lack optimizer=NAME")
    composer.parse(what)
    return name, list(what)


def _lines(composer: Composer, word: str) -> list[str]:
    """Return the overrides for a choice of the group, a class, or a name of the zoo's."""
    options = composer.files.options("optimizer")
    if word in options:
        return [f"optimizer={word}"]
    if OWN_CLASS.fullmatch(word):
        return [f"optimizer={CUSTOM}", f"optimizer._target_={value_text(word)}"]
    if word in zoo():
        return [f"optimizer={ZOO}", f"optimizer.name={word}"]
    near = nearest(word, [*options, *zoo()])
    hint = did_you_mean(word, [near] if near else options)
    raise UserError(f"optimizers: {word}: no such optimizer; {hint}")


def _space(composer: Composer, name: str, lines: Sequence[str], said: Any) -> Space:
    """Return where an optimizer's settings are searched."""
    options = composer.files.options(GROUP)
    if isinstance(said, Mapping):
        return refuse_fixed(read_space({"search": said}, f"search: {name}"))
    choice = Contender(name, lines, Space({})).choice
    wanted = said if said is not None else choice if choice in options else BARE
    if not isinstance(wanted, str) or wanted not in options:
        near = did_you_mean(str(wanted), options)
        raise UserError(f"search: {name}={flow(wanted)}: no such space; {near}")
    where = f"{GROUP}={wanted}" if said is None else f"search: {name}={wanted}"
    space = of_file(composer, wanted, where)
    if space.chosen:
        raise UserError(f"{where}: chooses the optimizer; optbench tune {GROUP}={wanted}")
    if space.rows:
        raise UserError(f"{where}: a list of settings, which optbench tune tries in order")
    return space
