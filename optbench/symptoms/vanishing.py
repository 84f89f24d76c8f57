"""Gradients that get lost on the way to the early layers."""

from __future__ import annotations

from optbench.symptoms.base import Record, Rule, Symptom
from optbench.symptoms.facts import Facts

RATIO = 1e-3
IN_A_ROW = 3
LAYERS = 4
"""At fewer there is no way to get lost on."""


class Vanishing(Rule):
    """Early layers get next to no gradient."""

    name = "vanishing"
    kinds = ("monitor",)
    help = f"first layers' gradient over weight norm below {RATIO:g} of the last ones'"

    def __init__(self, facts: Facts) -> None:
        super().__init__(facts)
        self._tags: list[tuple[str, str]] = []
        self._keys = self._small = 0

    def observe(self, record: Record) -> Symptom | None:
        """Compare the first third of the layers with the last."""
        if self.variant is not None:
            return None
        if len(record) != self._keys:
            self._keys, self._tags = len(record), _weights(record)
        if len(self._tags) < LAYERS:
            return None
        found = [record[g] / record[w] for g, w in self._tags if record.get(w)]
        third = max(1, len(found) // 3)
        if len(found) < LAYERS:
            return None
        first, last = sorted(found[:third])[third // 2], sorted(found[-third:])[third // 2]
        small = last > 0 and first < RATIO * last
        self._small = self._small + 1 if small else 0
        if self._small < IN_A_ROW:
            return None
        name = self._tags[0][0].partition("/")[2]
        return self.found(
            record,
            "gradients vanish on the way to the early layers",
            f"gradient over weight norm {first:.2g} in the first third ({name}), "
            f"{last:.2g} in the last",
            "saturating activations, a small initialisation, no skip connections",
            "model.activation=relu",
            "model.batch_norm=true",
            severe=True,
            tags=(self._tags[0][0], self._tags[-1][0]),
        )


def _weights(record: Record) -> list[tuple[str, str]]:
    """Return the tags of gradient and weight norm of each layer's weights, in the model's order."""
    names = [tag.partition("/")[2] for tag in record if tag.startswith("grad_norm/")]
    weights = [name for name in names if "weight" in name.rpartition(".")[2]]
    return [(f"grad_norm/{name}", f"param_norm/{name}") for name in weights]
