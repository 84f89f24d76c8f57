"""A claim's file, read and checked.

# In a line
section: "3.3"
sentence: "the text's words"
source: Who, year, title
question: What is measured?
every: model=mlp dataset=digits        # overrides of all runs; may be left out
experiment:                            # parts: what a verb is asked, as on its command line
  sgd: optimizer=sgd optimizer.lr=0.1,0.2
  looks: {probe: sgd, words: "instruments=[hessian]", at: last}
  compared: {benchmark: "workload=digits_mlp optimizers=[sgd,adam]"}
  range: {find_lr: optimizer=sgd, ramp: {low: 1e-6, ramp_steps: 100}}
  checked: {check: "checks=[overfit]"}
  shared: {ranks: 2, words: "strategy=zero1"}
  evolved: {pbt: "space=lr members=8 rounds=8"}
  replayed: {replay: evolved}
measure: {name: final, metric: val/loss}
rule: {paired: [sgd, adam], better: less}
cases: {small: batch_size=8, large: {sgd: batch_size=256}}  # may be left out
exact: why one run says it all                           # may be left out
conditions: Under which it is tested
would_change: What would change our mind
budget:
  quick: {seeds: 6, every: steps=50}
  full: {seeds: 10}
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from optbench.claims.claim import OF_ANOTHER, WITH_RUNS, Budget, Case, Claim, Part, PartVerb
from optbench.claims.kinds import check_rule
from optbench.config.flow import flow
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError

TEXTS = ("sentence", "source", "question", "conditions", "would_change")
"""Keys that a claim has, in words."""
NEEDED = ("section", *TEXTS, "experiment", "measure", "rule", "budget")
KEYS = (*NEEDED, "every", "cases", "exact", "changed")
VERBS: tuple[PartVerb, ...] = get_args(PartVerb)
BESIDE: dict[str, tuple[str, ...]] = {
    "ranks": ("words",),
    "replay": ("words",),
    "probe": ("words", "at"),
    "find_lr": ("ramp",),
}
"""What may stand beside some verbs; of the others all is in their words."""
OF_A_PART = (*VERBS, "words", "at", "ramp")
RAMP = ("low", "high", "ramp_steps")
MOST_RANKS = 64
BUDGETS = ("quick", "full")
MOST_SEEDS = 1000


def read_claim(plain: Any, name: str) -> Claim:
    """Read a claim from what stands in its file.

    Args:
        plain: the file as plain data.
        name: of the file.

    Raises:
        UserError: it is none; the key, what is wrong, and the nearest that would not be.
    """
    where = f"claim={name}"
    if not isinstance(plain, Mapping):
        raise UserError(f"{where}: expected a group of keys: {', '.join(KEYS)}")
    _check_keys(plain, KEYS, where)
    for key in NEEDED:
        if plain.get(key) in (None, "", {}, []):
            raise UserError(f"{where}: it has no {key}; {_WANTED.get(key, 'a text')}")
    for key in (*TEXTS, "exact", "changed"):
        if not isinstance(plain.get(key, ""), str):
            raise UserError(f"{where}: {key}={flow(plain[key])}: expected a text")
    exact = str(plain.get("exact", ""))
    parts = _parts(plain["experiment"], f"{where}: experiment")
    return Claim(
        name=name,
        section=_sections(plain["section"], where),
        **{key: " ".join(str(plain[key]).split()) for key in TEXTS},
        every=words(plain.get("every"), f"{where}: every"),
        parts=parts,
        cases=_cases(plain.get("cases"), parts, f"{where}: cases"),
        measure=_measure(plain["measure"], where),
        rules=_rules(plain["rule"], f"{where}: rule"),
        exact=exact,
        budgets=_budgets(plain["budget"], parts, bool(exact), f"{where}: budget"),
        changed=str(plain.get("changed", "")),
        plain=dict(plain),
    )


_WANTED = {
    "section": 'of the text, such as section: "2.2"',
    "experiment": "parts with what is run, such as sgd: optimizer=sgd optimizer.lr=0.1",
    "measure": "a measure's name, such as measure: final",
    "rule": "what decides, fixed before it is run, such as rule: {above: slope, value: 0}",
    "budget": "such as budget: {quick: {seeds: 6}, full: {seeds: 10}}",
}


def words(said: Any, where: str) -> list[str]:
    """Return words as on a command line, from one text or a list of them.

    Raises:
        UserError: something else.
    """
    if said is None:
        return []
    if isinstance(said, str):
        try:
            return shlex.split(said)
        except ValueError as error:
            raise UserError(f"{where}={flow(said)}: {str(error).lower()}") from None
    if isinstance(said, Sequence) and all(isinstance(each, str) for each in said):
        return list(said)
    raise UserError(f"{where}={flow(said)}: expected words as on a command line, such as steps=50")


def _sections(said: Any, where: str) -> list[str]:
    given = said if isinstance(said, list | tuple) else [said]
    for each in given:
        if not isinstance(each, str):
            raise UserError(f'{where}: section={flow(said)}: expected a text, such as "2.2"')
    return [str(each) for each in given]


def _parts(said: Any, where: str) -> list[Part]:
    if not isinstance(said, Mapping):
        raise UserError(f"{where}={flow(said)}: expected parts by name; {_WANTED['experiment']}")
    found = [_part(str(name), node, f"{where}: {name}") for name, node in said.items()]
    for part in found:
        if part.name == "every" or "/" in part.name:
            raise UserError(f"{where}: {part.name}: can't be the name of a part")
        if part.verb in OF_ANOTHER:
            _check_of(part, found, where)
    return found


def _check_of(part: Part, parts: Sequence[Part], where: str) -> None:
    """Refuse a part of another one that there is not, or that has nothing for it."""
    wanted = WITH_RUNS if part.verb == "probe" else ("pbt",)
    names = [each.name for each in parts if each.verb in wanted]
    if part.of not in names:
        none = "there is no part with runs" if part.verb == "probe" else "there is no part with pbt"
        near = did_you_mean(part.of, names) if names else none
        raise UserError(f"{where}: {part.name}: {part.verb}={part.of}: no such part; {near}")


def _part(name: str, node: Any, where: str) -> Part:
    if not isinstance(node, Mapping):
        return Part(name, "sweep", words(node, where))
    _check_keys(node, OF_A_PART, where)
    said = [verb for verb in VERBS if verb in node]
    if len(said) != 1:
        raise UserError(f"{where}={flow(node)}: expected one verb of {', '.join(VERBS)}")
    verb = said[0]
    beside = BESIDE.get(verb, ())
    for key in node:
        if key != verb and key not in beside:
            of = " or ".join(each for each, keys in BESIDE.items() if key in keys)
            raise UserError(f"{where}: {key}: of {of} alone; write {verb}: ...")
    own = words(node.get("words"), f"{where}: words")
    if verb in OF_ANOTHER:
        at = node.get("at")
        return Part(name, verb, own, of=str(node[verb]), at=None if at is None else str(at))
    if verb == "ranks":
        return Part(name, verb, own, ranks=_ranks(node[verb], where))
    return Part(name, verb, words(node[verb], where), ramp=_ramp(node, where))


def _ranks(said: Any, where: str) -> int:
    if isinstance(said, bool) or not isinstance(said, int) or not 2 <= said <= MOST_RANKS:
        raise UserError(f"{where}: ranks={flow(said)}: expected a number from 2 to {MOST_RANKS}")
    return said


def _ramp(node: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return what a part says of the ramp of `find_lr`, which looks at its numbers itself."""
    ramp = node.get("ramp", {})
    if not isinstance(ramp, Mapping):
        raise UserError(f"{where}: ramp={flow(ramp)}: expected such as {{low: 1e-6}}")
    _check_keys(ramp, RAMP, f"{where}: ramp")
    return {str(key): _number(value) for key, value in ramp.items()}


def _number(value: Any) -> Any:
    """Return a number that YAML takes for a text, such as 1e-6."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _cases(said: Any, parts: Sequence[Part], where: str) -> dict[str, Case]:
    if said is None:
        return {"": Case()}
    if not isinstance(said, Mapping) or not said:
        raise UserError(f"{where}={flow(said)}: expected conditions by name, each with overrides")
    for name in said:
        if not isinstance(name, str) or "/" in name or name.startswith("."):
            raise UserError(f"{where}: {name}: can't be the name of a case")
    return {name: _case(said[name], parts, f"{where}: {name}") for name in said}


def _case(said: Any, parts: Sequence[Part], where: str) -> Case:
    """Read overrides of all runs, or words by part with `every` for all runs."""
    if not isinstance(said, Mapping):
        return Case(words(said, where))
    names = [part.name for part in parts]
    _check_keys(said, ("every", *names), where)
    own = {key: words(said[key], f"{where}: {key}") for key in names if key in said}
    return Case(words(said.get("every"), f"{where}: every"), own)


def _check_keys(said: Mapping[Any, Any], known: Sequence[str], where: str) -> None:
    for key in said:
        if key not in known:
            raise UserError(f"{where}: {key}: no such key; {did_you_mean(str(key), known)}")


def _measure(said: Any, where: str) -> dict[str, Any]:
    if isinstance(said, str):
        return {"name": said}
    if isinstance(said, Mapping) and isinstance(said.get("name"), str):
        return {str(key): value for key, value in said.items()}
    raise UserError(
        f"{where}: measure={flow(said)}: expected a name, or {{name: NAME, ...}} with settings"
    )


def _rules(said: Any, where: str) -> list[Mapping[str, Any]]:
    given = said if isinstance(said, list | tuple) else [said]
    for each in given:
        check_rule(each, where)
    return [cast(Mapping[str, Any], each) for each in given]


def _budgets(said: Any, parts: Sequence[Part], exact: bool, where: str) -> dict[str, Budget]:
    if not isinstance(said, Mapping):
        raise UserError(f"{where}={flow(said)}: {_WANTED['budget']}")
    for name in said:
        if name not in BUDGETS:
            raise UserError(f"{where}: {name}: no such budget; {did_you_mean(str(name), BUDGETS)}")
    return {name: _budget(name, said.get(name), parts, exact, where) for name in BUDGETS}


def _budget(name: str, said: Any, parts: Sequence[Part], exact: bool, where: str) -> Budget:
    said, where = {} if said is None else said, f"{where}: {name}"
    names = [part.name for part in parts]
    known = ("seeds", "every", *names)
    if not isinstance(said, Mapping):
        raise UserError(f"{where}={flow(said)}: expected such as {{seeds: 6, every: steps=50}}")
    _check_keys(said, known, where)
    seeds = said.get("seeds", 1 if exact else None)
    if exact and seeds != 1:
        raise UserError(f"{where}: seeds={flow(seeds)}: beside exact, which says that one run does")
    if isinstance(seeds, bool) or not isinstance(seeds, int) or not 1 <= seeds <= MOST_SEEDS:
        raise UserError(f"{where}: seeds={flow(seeds)}: expected a number from 1 to {MOST_SEEDS}")
    own = {key: words(said[key], f"{where}: {key}") for key in names if key in said}
    return Budget(name, seeds, words(said.get("every"), f"{where}: every"), own)
