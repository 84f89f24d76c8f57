"""The doctor's rules as a run goes on: what they find is said, and may end it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from optbench.assemble.create import arguments, call, locate
from optbench.config.run_config import RunConfig
from optbench.config.suggest import did_you_mean
from optbench.errors import UserError
from optbench.symptoms.base import Rule, Symptom
from optbench.symptoms.examination import Examination
from optbench.symptoms.facts import Facts
from optbench.symptoms.rules import RULES, made

if TYPE_CHECKING:
    from optbench.monitor.record import Record

Ask = Callable[[str], None]


def own_rule(path: str, key: str) -> type[Rule]:
    """Return the class of a rule of the user's own.

    Raises:
        UserError: it is not there, or no rule.
    """
    found = locate(path, key)
    if not (inspect.isclass(found) and issubclass(found, Rule) and found.name):
        raise UserError(f"{key}={path}: expected a Rule of optbench.symptoms.base with a name")
    return found


def check_doctor(config: RunConfig) -> None:
    """Check `doctor.rules` and `doctor.stop_on`, before a run has a folder.

    Raises:
        UserError: a class that is no rule, a symptom that there is not or that ends no run.
    """
    own = [
        own_rule(str(node["_target_"]), f"doctor.rules[{number}]._target_")
        for number, node in enumerate(config.doctor.rules)
    ]
    known = {rule.name: rule for rule in (*RULES, *own)}
    for name in config.doctor.stop_on:
        if name not in known:
            raise UserError(f"doctor.stop_on={name}: no such symptom; {did_you_mean(name, known)}")
        if known[name].at_end:
            raise UserError(f"doctor.stop_on={name}: known at a run's end only, it ends none")
    if config.doctor.stop_on and not config.monitor.doctor:
        raise UserError("doctor.stop_on: nobody looks, for monitor.doctor=false")


class LiveDoctor:
    """A sink that shows records to the rules, and says what they find in a line each.

    What it decides follows from the records alone: on a resume it is shown those that are there,
    in silence, and is where it was.

    Args:
        config: of the run.
        plain: the same as plain data.
        data: its sizes, as env.json has them.
        say: is told of each symptom in a line.
    """

    def __init__(
        self,
        config: RunConfig,
        plain: Mapping[str, Any],
        data: Mapping[str, Any],
        say: Callable[[str], None],
    ) -> None:
        facts, stop_on = Facts.of(plain, data), config.doctor.stop_on
        rules = made(facts, more=stop_on)
        for number, node in enumerate(config.doctor.rules):
            key = f"doctor.rules[{number}]"
            own = own_rule(str(node["_target_"]), f"{key}._target_")
            rules.append(call(own, key, **{"facts": facts, **arguments(node, key)}))
        self.at_once = bool(stop_on)  # else it costs least a few records at a time
        self._stop_on, self._say = frozenset(stop_on), say
        self._examination = Examination(rules, self._failed)
        self._reason: str | None = None
        self._ask: Ask | None = None
        self._told = self._replaying = False

    def go_on_from(self, records: Iterable[Mapping[str, Any]]) -> None:
        """See the records of the run's part before."""
        self._replaying = True
        for record in records:
            self._see(record)
        self._replaying = False

    def begin(self, ask: Ask) -> None:
        """Take whom to ask for a stop, for a reason; ask now if there is one already."""
        self._ask = ask
        if self._reason is not None:
            ask(self._reason)

    def write(self, record: Record) -> None:
        """See a record."""
        seen = {"kind": record.kind, "step": record.step, "epoch": round(record.epoch, 6)}
        self._see(seen | record.values)  # type: ignore[operator]

    def end(self, state: str, step: int, message: str) -> None:
        """See how the run ended, but for one that goes on later."""
        if state != "preempted":
            self._see({"kind": "end", "step": step, "state": state, "message": message})

    def flush(self) -> None:
        """Do nothing: nothing is held back."""

    def close(self) -> None:
        """Do nothing: `end` comes after it."""

    def _see(self, record: Mapping[str, Any]) -> None:
        for symptom in self._examination.see(record):
            if not self._replaying:
                self._say(f"doctor: {symptom.line}")
            self._decide(symptom)

    def _decide(self, symptom: Symptom) -> None:
        if symptom.name not in self._stop_on or self._reason is not None:
            return
        self._reason = f"{symptom.name}: {symptom.what} ({symptom.evidence})"
        if self._ask is not None:
            self._ask(self._reason)

    def _failed(self, rule: Rule, error: Exception) -> None:
        if not self._replaying or type(rule) not in RULES:
            why = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self._say(f"doctor: the rule {rule.name} fails and is left out ({why})")
