"""What all gradient-free optimizers share: losses of members, the best one, what stays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from optbench.optim.needs import Needs
from optbench.optim.population.flat import Flat

Evaluate = Callable[[Tensor], Tensor]
"""From points [K, size] to their losses [K], float64; one that is not finite counts as infinite."""

EVALUATE = ("mean", "best")
WAYS = ("vmap", "loop")
MOST_BYTES = 2**33
"""So much may a population, and what is known of it, take."""


class Population(torch.optim.Optimizer):
    """An optimizer that goes by losses alone; a step is a generation.

    `step` needs an objective: `losses(stacked, way, parameters)` gives the losses at many points,
    `forward(known)` the loss where the parameters then stay, and `plan(count, parameters, way)` how
    many points go at once, and how. All points of a step are evaluated on the same examples, with
    the same random numbers. The first step asks for the plan, and all later ones keep to it.

    Random numbers follow from the seed and the step. All state is in `state` of the first
    parameter.

    A loss that is not finite is that of the worst member; if all are, what is sought stays.

    Args:
        params: parameters, or one group of them.
        settings: of the groups, by name.
        population: members of a generation.
        evaluate: what stands in the parameters after a step: `mean`, the centre of the search, or
            `best`, the best point that was found. Where the loss is another function at each step
            (`noisy`), that is the best of the last step.
        noisy: whether the loss at a point differs from step to step, as with mini-batches; None
            finds out at the second step with a finite loss, by evaluating a point twice.
        way: `vmap` (all members in one pass, as many as fit into memory) or `loop` (one after the
            other), equal up to rounding; None goes by how much layers compute, and by no clock.
        seed: None takes the one that torch was last given.

    Attributes:
        measured: evaluations so far; the best loss of the last step (or of all, if not noisy);
            and what a subclass adds.

    Raises:
        ValueError: a setting out of range, or several groups of one that has none.
    """

    needs = Needs(objective="many", gradients=False, lr=False)
    grouped = False
    """Whether groups may have settings of their own."""

    def __init__(
        self,
        params: Any,
        settings: dict[str, Any],
        *,
        population: int,
        evaluate: str,
        noisy: bool | None,
        way: str | None,
        seed: int | None,
    ) -> None:
        if way is not None and way not in WAYS:
            raise ValueError(f"way={way}: expected {' or '.join(WAYS)}, or None")
        if evaluate not in EVALUATE:
            raise ValueError(f"evaluate={evaluate}: expected {' or '.join(EVALUATE)}")
        if population < 2:
            raise ValueError(f"population={population}: needs at least 2 members to compare")
        shared = {"population": population, "evaluate": evaluate, "noisy": noisy, "way": way}
        super().__init__(params, {"lr": 1.0, **settings, **shared})
        if len(self.param_groups) > 1 and not self.grouped:
            name = type(self).__name__
            raise ValueError(f"groups: {name} moves all parameters alike, so it takes one group")
        self.seed = torch.initial_seed() if seed is None else seed
        self.flat = Flat([p for group in self.param_groups for p in group["params"]])
        self.measured: dict[str, float] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but hooks, which torch leaves out too."""
        return {k: v for k, v in vars(self).items() if k != "step" and "_hooks" not in k}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of all, as the first group has them."""
        group: dict[str, Any] = self.param_groups[0]
        return group

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one generation by an objective; return the loss where the parameters then stay."""
        own = self.state[self.flat.parameters[0]]
        if "generation" not in own:
            own.update(generation=0, evaluations=0, plan=None)
            own.update(noisy=self.settings["noisy"], best=None, best_loss=torch.inf, once=None)
            self._begin(own)
        if own["plan"] is None:
            wanted = self.settings["way"]
            plan = closure.plan(self._count(own), self.flat.parameters, wanted)
            # No text: torch's load_state_dict takes one for a sequence of letters.
            own["plan"] = {"vmap": plan.way == "vmap", "chunk": plan.chunk, "still": plan.still}

        def evaluate(points: Tensor) -> Tensor:
            return self._losses(own, closure, points)

        if self._follows_best:
            self._find_noise(own, evaluate)
        self._generation(own, evaluate)
        own["generation"] += 1
        self.measured = {"evaluations": own["evaluations"], **self._measure(own)}
        if self.settings["evaluate"] == "best":
            return self._stay_at_best(own, closure)
        self.flat.write(self._mean(own))
        return closure.forward()

    @property
    def _follows_best(self) -> bool:
        """Whether it matters which of the points of several steps is best."""
        return bool(self.settings["evaluate"] == "best")

    def _begin(self, own: dict[str, Any]) -> None:
        """Make the state, at the first step."""
        raise NotImplementedError

    def _generation(self, own: dict[str, Any], evaluate: Evaluate) -> None:
        """Evaluate the members, and move on."""
        raise NotImplementedError

    def _mean(self, own: dict[str, Any]) -> Tensor:
        """Return the centre of the search."""
        raise NotImplementedError

    def _measure(self, own: dict[str, Any]) -> dict[str, float]:
        """Return what is to be said of the step."""
        raise NotImplementedError

    def _count(self, own: dict[str, Any]) -> int:
        """Return how many points a step evaluates at once."""
        return int(self.settings["population"])

    def _losses(self, own: dict[str, Any], objective: Any, points: Tensor) -> Tensor:
        """Return the losses at points, in as many equal parts as memory wants."""
        plan = own["plan"]
        way, parts = "vmap" if plan["vmap"] else "loop", -(-len(points) // plan["chunk"])
        losses = [
            objective.losses(self.flat.stacked(some), way, self.flat.parameters)
            for some in points.tensor_split(parts)
        ]
        own["evaluations"] += len(points)
        found = torch.cat(losses).double()
        return torch.where(found.isfinite(), found, torch.inf)

    def _find_noise(self, own: dict[str, Any], evaluate: Evaluate) -> None:
        """Find out whether the loss of the best point of the step before is another one now.

        One that is not finite says nothing of that: then the next step asks again.
        """
        if own["noisy"] is None and own["once"] is not None:
            again = float(evaluate(own["best"][None])[0])
            if not math.isfinite(again):
                own["once"] = None
                return
            narrow = all(p.dtype == torch.float64 for p in self.flat.parameters)
            digits = 1e-12 if narrow else 1e-5
            own["noisy"] = not abs(again - own["once"]) <= digits * abs(own["once"])

    def _note_best(
        self, own: dict[str, Any], points: Tensor, losses: Tensor, evaluate: Evaluate
    ) -> None:
        """Keep the best of the points, which were evaluated in this step."""
        if not self._follows_best:
            own["best_loss"] = float(losses.min())
            return
        place = int(losses.argmin())
        lowest = float(losses[place])
        if own["best"] is None or own["noisy"] or lowest < own["best_loss"]:
            own["best"], own["best_loss"] = points[place].clone(), lowest
        if own["noisy"] is None and own["once"] is None and math.isfinite(own["best_loss"]):
            once = float(evaluate(own["best"][None])[0])
            own["once"] = once if math.isfinite(once) else None

    def _stay_at_best(self, own: dict[str, Any], objective: Any) -> Any:
        self.flat.write(own["best"])
        if not own["plan"]["still"]:
            return objective.forward()
        known = torch.tensor(own["best_loss"], dtype=self.flat.dtype, device=self.flat.device)
        return objective.forward(known)

    def _refuse_large(self, numbers: int, what: str, instead: str = "") -> None:
        """Raise ValueError where so many numbers of 8 bytes do not fit."""
        if (wanted := 8 * numbers) > MOST_BYTES:
            name, gib = type(self).__name__, MOST_BYTES // 2**30
            raise ValueError(
                f"{name} of {self.flat.size:,} parameters would keep {what} of "
                f"{_readable(wanted)}, and {gib} GiB is the most{instead}"
            )


def _readable(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.0f} PiB"
