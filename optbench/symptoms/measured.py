"""How often each rule's alarms were right: on the part of the corpus that was held back.

`scripts/doctor_corpus.py --part held_back` gives the numbers; docs/results/doctor.md says what
counts as right.
"""

from __future__ import annotations

from collections.abc import Mapping

ALARMS: Mapping[str, tuple[int, int]] = {
    "divergence": (8, 8),
    "exploding": (19, 20),
    "spike": (7, 7),
    "vanishing": (6, 6),
    "dead_relu": (9, 9),
    "saturation": (8, 8),
    "oscillation": (4, 4),
    "too_slow": (8, 10),
    "plateau": (12, 12),
    "update_ratio": (6, 6),
    "clipped_always": (3, 3),
    "clipped_never": (3, 3),
    "loss_scale": (3, 3),
    "gap": (15, 15),
    "overfitting": (7, 7),
    "noisy_validation": (6, 6),
    "schedule_ended": (3, 3),
    "schedule_restarted": (3, 3),
    "ema_cold": (6, 6),
    "negative_loss": (6, 6),
    "constant_loss": (3, 3),
    "too_good": (4, 4),
}
"""By rule: alarms that were right, and alarms."""


def precision(name: str) -> float | None:
    """Return the share of a rule's alarms that were right; None where there was none."""
    right, alarms = ALARMS.get(name, (0, 0))
    return right / alarms if alarms else None
