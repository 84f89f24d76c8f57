"""The settings of many runs in little room: what is usual, and where each departs from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from optbench.comparison.record import Record
from optbench.report.searches import setting_text

ABSENT = None
"""In place of a setting's text that a run has not."""


def differences(every: Sequence[Record]) -> dict[str, Any]:
    """Return `usual`, each setting as most runs have it, and `own`, where a run differs from it.

    Choices of groups go before settings, under names with an `@`, which no setting has.
    """
    known: dict[str, Counter[str]] = {}
    all_texts = []
    for record in every:
        texts = {f"@{group}": choice for group, choice in record.past.choices.items()}
        texts |= {key: setting_text(value) for key, value in record.past.settings.items()}
        all_texts.append(texts)
        for key, text in texts.items():
            known.setdefault(key, Counter())[text] += 1
    usual = {}
    for key, counts in known.items():
        text, many = counts.most_common(1)[0]
        if many * 2 >= len(every):  # else most runs lack it
            usual[key] = text
    own = []
    for texts in all_texts:
        departing: dict[str, str | None] = {k: t for k, t in texts.items() if usual.get(k) != t}
        departing |= {key: ABSENT for key in usual if key not in texts}
        own.append(departing)
    return {"usual": usual, "own": own}
