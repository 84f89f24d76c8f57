"""The kinds of rules that there are, and what each may say. Which verdict follows: `rules.py`.

    {near: slope, value: -1, within: 5%}               # of -1; without %: that far from it
    {above: share, value: 0.5}   {below: ..., value: ...}
    {paired: [sgd, adam], better: more, margin: 0.002} # the first is better, by seed
    {ordered: [small, middle, large], way: rising}     # by rank correlation, seed by seed
    {share: escaped, above: 0.9}                       # of seeds at which it is not 0

Quantities are those of the measure; `*` in a name stands for any letters: the rule has to hold for
each that it matches (in `ordered` they are ordered as the measure gives them).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optbench.config.flow import flow
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

SETTINGS: dict[str, dict[str, bool]] = {
    "near": {"value": True, "within": True},
    "above": {"value": True},
    "below": {"value": True},
    "paired": {"better": True, "margin": False},
    "ordered": {"way": True, "least": False},
    "share": {"above": False, "below": False},
}
"""By kind its settings, and whether it needs them."""
CHOICES = {"better": ("more", "less"), "way": ("rising", "falling")}


def kind_of_rule(rule: Mapping[str, Any]) -> str:
    """Return the kind of a rule that was checked."""
    return next(kind for kind in SETTINGS if kind in rule and not _is_setting(rule, kind))


def _is_setting(rule: Mapping[str, Any], kind: str) -> bool:
    return kind in SETTINGS["share"] and "share" in rule


def within(rule: Mapping[str, Any]) -> float:
    """Return how far from its value a quantity may be, of a rule `near`."""
    said = rule["within"]
    if isinstance(said, str):
        return float(said.removesuffix("%")) / 100 * abs(float(rule["value"]))
    return float(said)


def check_rule(rule: Any, where: str) -> None:
    """Raise UserError for what is no rule; `where` leads the message."""
    if not isinstance(rule, Mapping):
        raise UserError(f"{where}={flow(rule)}: expected such as {{above: slope, value: 0}}")
    kinds = [kind for kind in SETTINGS if kind in rule and not _is_setting(rule, kind)]
    if len(kinds) != 1:
        first = next((str(key) for key in rule if key not in SETTINGS), "")
        hint = did_you_mean(first, SETTINGS) if first and not kinds else ""
        said = f"no such kind; {hint}" if hint else f"expected one kind of {', '.join(SETTINGS)}"
        raise UserError(f"{where}: {first or flow(rule)}: {said}")
    kind, known = kinds[0], SETTINGS[kinds[0]]
    where = f"{where}: {kind}"
    for key in rule:
        if key != kind and key not in known:
            hint = did_you_mean(str(key), known)
            raise UserError(f"{where}: {key}: no such key; {hint}")
    for key, needed in known.items():
        if needed and key not in rule:
            raise UserError(f"{where}: it has no {key}")
        if key in rule:
            _check_setting(kind, key, rule[key], where)
    _check_names(kind, rule[kind], where)
    if kind == "share" and ("above" in rule) == ("below" in rule):
        raise UserError(f"{where}: expected above or below, such as above: 0.9")


def _check_setting(kind: str, key: str, value: Any, where: str) -> None:
    if key in CHOICES:
        if value not in CHOICES[key]:
            near = did_you_mean(str(value), CHOICES[key])
            raise UserError(f"{where}: {key}={flow(value)}: not valid; {near}")
        return
    percent = kind == "near" and key == "within" and isinstance(value, str) and value[-1:] == "%"
    try:
        number = float(value.removesuffix("%")) if percent else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        example = "such as 5% or 0.05" if key == "within" else "a number"
        raise UserError(f"{where}: {key}={flow(value)}: expected {example}")
    if key in ("within", "margin") and number < 0:
        raise UserError(f"{where}: {key}={flow(value)}: must not be negative")


def _check_names(kind: str, value: Any, where: str) -> None:
    several = kind in ("paired", "ordered")
    if several and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        if kind == "ordered" or len(value) == 2:
            return
    elif isinstance(value, str) and kind != "paired":
        return
    expected = {"paired": "two names: [sgd, adam]", "ordered": "names in their order: [a, b, c]"}
    raise UserError(f"{where}={flow(value)}: expected {expected.get(kind, 'the name of a value')}")
