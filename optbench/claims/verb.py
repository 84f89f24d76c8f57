"""The verb `claim`: what the textbook says, as experiments with verdicts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from optbench.claims.asked import Asked, asked, claim_of, names_of_claims
from optbench.claims.claim import Claim
from optbench.claims.claims import ROOT, ready, test
from optbench.claims.testing import Where, in_turn, side_by_side
from optbench.claims.told import order, told, told_all, told_list
from optbench.compose.composer import Composer, hydra_session
from optbench.config.flags import taken
from optbench.console import print_error, print_lines
from optbench.errors import UserError
from optbench.files import strict
from optbench.rundir import path_of
from optbench.which_folder import refuse_no_folder

VALUED, SWITCHES = ("--config-dir", "--out"), ("--all", "--json")
EXIT_FAILED, EXIT_BAD = 1, 2


class Flags(NamedTuple):
    """What the command line says."""

    names: list[str]
    lines: list[str]
    every: bool
    json: bool
    config_dir: str | None
    root: str


def claim(arguments: Sequence[str]) -> int:
    """Run `optbench claim [NAME...|--all] [words] [overrides] [flags]`; return the exit code."""
    flags = read(arguments)
    with hydra_session(flags.config_dir) as composer:
        known = names_of_claims(composer)
        wanted = asked(composer, flags.lines)
        if not flags.names and not flags.every:
            if flags.lines:
                raise UserError(f"claim: which? optbench claim NAME {flags.lines[0]}, or --all")
            return _list(composer, known)
        if flags.every:
            return _all(composer, known, wanted, flags)
        outcomes = []
        claims = _named(composer, known, flags.names)
        for at in [ready(composer, each, wanted, flags.root) for each in claims]:
            said = test(at, composer.config_dir, print_error)
            outcomes.append(said)
            if not flags.json:
                told(at.claim, said, at.folder)
    if flags.json:
        print_lines(json.dumps(strict({"claims": outcomes}), indent=1))
    return 0


def _named(composer: Composer, known: Sequence[str], names: Sequence[str]) -> list[Claim]:
    """Return the claims that are named, those of a section by its number.

    Raises:
        UserError: there is none such.
    """
    found: dict[str, Claim] = {}
    every = _read(composer, known)[0] if any(name[:1].isdigit() for name in names) else []
    for name in names:
        of_section = [each for each in every if name in each.section]
        found |= {each.name: each for each in of_section or [claim_of(composer, name)]}
    return [*found.values()]


def _list(composer: Composer, known: Sequence[str]) -> int:
    """Print all claims; those whose file is none, each in a line, last."""
    claims, failed = _read(composer, known)
    told_list(claims)
    for error in failed.values():
        print_error(error)
    return EXIT_BAD if failed else 0


def _read(composer: Composer, known: Sequence[str]) -> tuple[list[Claim], dict[str, str]]:
    """Return the claims in the text's order, and of those that can't be read what is wrong."""
    claims: list[Claim] = []
    failed: dict[str, str] = {}
    for name in known:
        try:
            claims.append(claim_of(composer, name))
        except UserError as error:
            failed[name] = str(error)
    return sorted(claims, key=order), failed


def _all(composer: Composer, known: Sequence[str], wanted: Asked, flags: Flags) -> int:
    """Test all claims; one that can't be is told of, and the others go on.

    Those whose experiment names nothing that is to be replaced are passed over.
    """
    claims, unread = _read(composer, known)
    for error in unread.values():
        print_error(error)
    names, where = [each.name for each in claims], Where(flags.root, flags.config_dir)
    outcomes: dict[str, dict[str, Any]] = {}
    failed = [*unread]
    if wanted.at_once > 1:
        lines = [line for line in flags.lines if not line.startswith("at_once=")]
        found = side_by_side(names, lines, wanted.at_once, where)
    else:
        found = in_turn(composer, names, wanted, where)
    for number, each in enumerate(found, 1):
        print_error(f"{number}/{len(claims)} {each.line}")
        if each.said is not None:
            outcomes[each.name] = each.said
        elif each.error:
            failed.append(each.name)
    said = [outcomes[name] for name in names if name in outcomes]
    if flags.json:
        print_lines(json.dumps(strict({"claims": said, "failed": failed}), indent=1))
    else:
        told_all(said)
    return EXIT_FAILED if failed else 0


def read(arguments: Sequence[str]) -> Flags:
    """Read the command line: names of claims, words and overrides, flags.

    Raises:
        UserError: a flag that there is not, or one without its value.
    """
    values, words = taken("claim", arguments, VALUED, SWITCHES)
    names = [word for word in words if "=" not in word and not word.startswith("~")]
    if names and "--all" in values:
        raise UserError(f"{names[0]}: beside --all; one of them")
    if "all" in names:
        raise UserError("claim all: no such claim; did you mean optbench claim --all?")
    root = path_of(values.get("--out", ROOT), "--out")
    if root.exists():
        refuse_no_folder(root, f"--out {root}")
    return Flags(
        names=names,
        lines=[word for word in words if word not in names],
        every="--all" in values,
        json="--json" in values,
        config_dir=values.get("--config-dir"),
        root=str(Path(root)),
    )
