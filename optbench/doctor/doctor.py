"""The verb `doctor`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from optbench.config.flags import flag_hint
from optbench.console import print_error, print_lines
from optbench.doctor.diagnosis import diagnosed, rules_named
from optbench.doctor.printing import as_table, print_diagnosis
from optbench.errors import UserError
from optbench.files import strict
from optbench.runs.find import without_runs

FLAGS = ("--json", "--all", "--rule", "--help")
EXIT_SEVERE = 1
SEVERAL = 4
"""Of so many runs there is a table; their evidence is printed of one to three."""


def doctor(arguments: Sequence[str]) -> int:
    """Run `optbench doctor RUN... [flags]`; return 1 for a severe symptom or a damaged run."""
    flags: set[str] = set()
    rules: list[str] = []
    folders: list[str] = []
    given = iter(arguments)
    for word in given:
        name, equals, value = word.partition("=")
        if name == "--rule":
            path = value if equals else next(given, "")
            if not path:
                raise UserError("--rule: it wants a value, such as my.module.MyRule")
            rules.append(path)
        elif word in FLAGS:
            flags.add(word)
        elif word.startswith("-"):
            if equals and name in FLAGS:
                raise UserError(f"{name}: it takes no value")
            hint = flag_hint("doctor", word, next(given, ""), FLAGS)
            raise UserError(f"{name}: no such flag; {hint}")
        else:
            folders.append(word)
    if not folders:
        raise UserError("doctor: which run? optbench doctor RUN...")
    own = rules_named(rules)
    found = diagnosed(*folders, every="--all" in flags, own=own)
    for line in without_runs(folders, [each.run for each in found]):
        print_error(f"warning: {line}")
    if "--json" in flags:
        print_lines(json.dumps(strict({"runs": [each.plain for each in found]}), indent=2))
    elif len(found) < SEVERAL:
        for number, each in enumerate(found):
            print_diagnosis(each, first=not number)
    else:
        as_table(found)
    return EXIT_SEVERE if any(each.severe or each.damaged for each in found) else 0
