"""A run's records, shown to the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from optbench.symptoms.base import Record, Rule, Symptom


class Examination:
    """Shows each record to the rules that want its kind; what they find comes in its order.

    Args:
        rules: each new, for it remembers what it has seen.
        failed: is told of a rule that raises, which sees no more; None: it is raised.
    """

    def __init__(
        self, rules: Sequence[Rule], failed: Callable[[Rule, Exception], None] | None = None
    ) -> None:
        self._by_kind: dict[str, list[Rule]] = {}
        for rule in rules:
            for kind in rule.kinds:
                self._by_kind.setdefault(kind, []).append(rule)
        self._failed = failed
        self.found: list[Symptom] = []

    def see(self, record: Record) -> list[Symptom]:
        """Take a record in; return what is new."""
        new: list[Symptom] = []
        done: list[Rule] = []
        for rule in self._by_kind.get(record["kind"], ()):
            try:
                symptom = rule.observe(record)
            except Exception as error:
                if self._failed is None:
                    raise
                done.append(rule)
                self._failed(rule, error)
                continue
            if symptom is not None:
                new.append(symptom)
                if rule.once:
                    done.append(rule)
        for rule in done:
            self._leave_out(rule)
        self.found += new
        return new

    def _leave_out(self, rule: Rule) -> None:
        for rules in self._by_kind.values():
            if rule in rules:
                rules.remove(rule)
