"""The verdict on a claim, from what its rules say in each of its cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optbench.claims.judged import HOLDS, NOT, UNDECIDED, Answer, Judged
from optbench.config.counted import counted

UNDER = "holds under these conditions"


@dataclass(frozen=True)
class Verdict:
    """What comes of a claim.

    Attributes:
        word: `holds`, `holds under these conditions`, `does not hold here`, or `undecided`.
        said: the same with all that belongs to it: how many seeds, where it holds.
        cases: the answer in each.
        p: of the test that the verdict rests on; None where it rests on none.
    """

    word: str
    said: str
    cases: Mapping[str, Answer]
    p: float | None


def answer_of(judged: Sequence[Judged]) -> Answer:
    """Return what rules say together: all have to hold."""
    answers = [each.answer for each in judged]
    return NOT if NOT in answers else UNDECIDED if UNDECIDED in answers else HOLDS


def verdict(cases: Mapping[str, Sequence[Judged]]) -> Verdict:
    """Return the verdict from what the rules say in each case.

    Of several cases it holds where it holds in all, does not where it does in none of them, and
    else under the conditions in which it does.
    """
    answers = {name: answer_of(judged) for name, judged in cases.items()}
    holding = [name for name, answer in answers.items() if answer == HOLDS]
    failing = [name for name, answer in answers.items() if answer == NOT]
    open_ones = [name for name, answer in answers.items() if answer == UNDECIDED]
    p = _p(cases, answers)
    if len(holding) == len(answers):
        return Verdict("holds", "holds", answers, p)
    if len(failing) == len(answers):
        return Verdict("does not hold here", "does not hold here", answers, p)
    if holding:
        said = [f"{UNDER}: {', '.join(holding)}"]
        said += [f"not: {', '.join(failing)}"] if failing else []
        said += [f"undecided: {', '.join(open_ones)}"] if open_ones else []
        return Verdict(UNDER, "; ".join(said), answers, p)
    return Verdict("undecided", _undecided(cases, failing), answers, p)


def _undecided(cases: Mapping[str, Sequence[Judged]], failing: Sequence[str]) -> str:
    """Return what is said of a claim that is not decided: at how many seeds, and what would do."""
    judged = [each for group in cases.values() for each in group if each.answer == UNDECIDED]
    said = f"undecided at {counted(max(each.seeds for each in judged), 'seed')}"
    why = next((each.why for each in judged if each.why), "")
    needed = [each.needed for each in judged]
    if why:
        said += f": {why}"
    if all(each is not None for each in needed):
        many = max(each for each in needed if each is not None)
        said += f"{';' if why else ':'} about {many} would do"
    elif not why:
        said += ": no number of seeds that we know of would do for what was seen"
    return said + (f"; does not hold: {', '.join(failing)}" if failing else "")


def _p(cases: Mapping[str, Sequence[Judged]], answers: Mapping[str, Answer]) -> float | None:
    """Return the p of the whole: the largest of the cases that are decided, else of all."""
    decided = [name for name, answer in answers.items() if answer != UNDECIDED] or [*answers]
    found = [_p_of_case(cases[name], answers[name]) for name in decided]
    known = [p for p in found if p is not None]
    return max(known) if known else None


def _p_of_case(judged: Sequence[Judged], answer: Answer) -> float | None:
    known = [each.p for each in judged if each.p is not None and each.answer == answer]
    if not known:
        return None
    return min(known) if answer == NOT else max(known)
