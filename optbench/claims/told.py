"""What is printed of claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optbench.claims.claim import Claim
from optbench.claims.published import adjusted, published
from optbench.config.counted import counted
from optbench.console import print_table, print_text, shown

ROUNDING = 1e-12
_ANSWERS = {"holds": "holds", "not": "does not hold", "undecided": "undecided"}


def number_text(value: Any) -> str:
    """Return a number of an outcome with four digits; `-inf` and the like are texts there."""
    number = float(value) if value is not None else math.nan
    return f"{number:.4g}" if math.isfinite(number) else str(number)


def rule_text(rule: Mapping[str, Any], drawn: bool) -> str:
    """Return what a rule found of a quantity, in a line."""
    value, low, high = (number_text(_rounded(rule[key], rule)) for key in ("value", "low", "high"))
    between = f"{low} to {high}"
    seeds = counted(rule["seeds"], "seed")
    said = f"{rule['quantity']}: {value}"
    said += f" (95 %: {between}, {seeds})" if drawn else " (nothing is drawn)"
    why = f": {rule['why']}" if rule["why"] else ""
    return f"{said}; claimed: {rule['wanted']}: {_ANSWERS[rule['answer']]}{why}"


def _rounded(value: Any, rule: Mapping[str, Any]) -> Any:
    """Return 0 for what is nothing beside the interval's width, such as an end next to 0."""
    low, high = (math.nan if rule[key] is None else float(rule[key]) for key in ("low", "high"))
    width = high - low if math.isfinite(high - low) else 0.0
    nothing = value is not None and abs(float(value)) < ROUNDING * width
    return 0.0 if nothing or value == 0 else value


def told(claim: Claim, said: Mapping[str, Any], folder: Path) -> None:
    """Print what came of a claim."""
    print_text(f'[{", ".join(claim.section)}] "{claim.sentence}"')
    print_text(claim.question)
    if not said["as_published"]:
        pairs = [f"{new} for {old}" for old, new in said["instead"].items()]
        print_text(f"not as it is published: with {', '.join([*pairs, *said['overrides']])}")
    for case in said["cases"]:
        if case["name"]:
            print_text(f"{case['name']}: {_ANSWERS[case['answer']]}")
        for rule in case["rules"]:
            print_text(f"  {rule_text(rule, said['drawn'])}")
        for note in case["notes"]:
            print_text(f"  {note}")
    tail = f"  (p {said['p']:.2g})" if said["p"] is not None else ""
    print_text(f"verdict: {said['said']}{tail}")
    runs = f"{counted(said['runs'], 'run')}, {said['seconds']:.0f} s, budget={said['budget']}"
    where = shown(folder / said["picture"]) if said["picture"] else shown(folder)
    print_text(f"{runs}; {'picture: ' if said['picture'] else ''}{where}")


def told_all(outcomes: Sequence[Mapping[str, Any]]) -> None:
    """Print the table of many claims, with p corrected for all of them."""
    corrected = adjusted(outcomes)
    rows = []
    for said in outcomes:
        p = "" if said["p"] is None else f"{said['p']:.2g}"
        by_holm = f"{corrected[said['claim']]:.2g}" if said["claim"] in corrected else ""
        names = [said["claim"], " ".join(said["section"]), said["verdict"]]
        rows.append([*names, p, by_holm, f"{said['seconds']:.0f}"])
    header = ["claim", "section", "verdict", "p", "p (Holm)", "seconds"]
    print_table("", header, rows)
    if corrected:
        print_text(f"p (Holm): corrected for the {len(corrected)} verdicts that rest on a test")


def told_list(claims: Sequence[Claim]) -> None:
    """Print all claims with what our published run said, a claim's name and verdict in a line, and
    what the text says beneath it."""
    for claim in sorted(claims, key=order):
        found = published(claim.name)
        said = "not published" if found is None else found["verdict"]
        print_text(f"{claim.name} [{', '.join(claim.section)}]: {said}")
        print_text(f'  "{claim.sentence}"')
    print_text("")
    print_text("optbench claim NAME tests one. The verdicts are what our own full run said.")


def order(claim: Claim) -> tuple[list[int], str]:
    """Return a key that sorts claims as the text has them."""
    parts = claim.section[0].split(".")
    return [int(part) if part.isdigit() else 0 for part in parts], claim.name
