"""Particle swarm optimization."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import above_zero, at_least_zero
from optbench.optim.population.base import Evaluate, Population
from optbench.optim.population.draws import generator_of, uniform

TOPOLOGIES = ("ring", "global")


class PSO(Population):
    """Particles with velocities, drawn to the best point of each and of its neighbours.

        v <- chi (v + c1 u1 (p - x) + c2 u2 (l - x))
        x <- x + v

    p is the best point of the particle, l the best one of its neighbours: the two beside it in a
    ring, and itself (Kennedy & Eberhart 1995), or all. The u are uniform in [0, 1) in each
    coordinate; chi, c1 and c2 make the swarm converge (Clerc & Kennedy 2002, equation 4).

    The first particle begins at the parameters, the others within `spread` of them in each
    coordinate, all of them with the velocity to another such point, halved. A particle that leaves
    the bounds stops at them. Where the loss is noisy, the best points are evaluated again at each
    step, which doubles its cost.

    Args:
        params: all parameters, in one group.
        spread: how far around the parameters particles begin, above 0.
        population: particles, at least 2.
        chi: the constriction, above 0.
        c1, c2: pull of the particle's own best, and of the neighbours'; at least 0.
        topology: `ring` or `global`.
        bounds: the least and greatest value of all coordinates; None for none.
        evaluate: see `Population`; the mean is that of the particles' best points.
        noisy, way, seed: see `Population`.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        params: Any,
        spread: float = 1.0,
        population: int = 40,
        chi: float = 0.7298,
        c1: float = 2.05,
        c2: float = 2.05,
        topology: str = "ring",
        bounds: tuple[float, float] | None = None,
        evaluate: str = "best",
        *,
        noisy: bool | None = None,
        way: str | None = None,
        seed: int | None = None,
    ) -> None:
        if topology not in TOPOLOGIES:
            raise ValueError(f"topology={topology}: expected {' or '.join(TOPOLOGIES)}")
        if bounds is not None and not (len(bounds) == 2 and bounds[0] < bounds[1]):
            raise ValueError(f"bounds={list(bounds)}: expected the least and the greatest value")
        own = {"spread": spread, "chi": chi, "c1": c1, "c2": c2, "topology": topology}
        own["bounds"] = None if bounds is None else tuple(bounds)
        super().__init__(
            params, own, population=population, evaluate=evaluate, noisy=noisy, way=way, seed=seed
        )
        above_zero(self.settings, "spread", "chi")
        at_least_zero(self.settings, "c1", "c2")
        self._refuse_large(self.flat.size * 5 * population, f"a population of {population}")

    def _begin(self, own: dict[str, Any]) -> None:
        flat, count = self.flat, self.settings["population"]
        generator = generator_of(flat.device, self.seed, 0)
        own["losses"] = None
        start = flat.read()
        points, others = (
            self._within(start + self.settings["spread"] * (2 * drawn - 1))
            for drawn in uniform(generator, 2, count, flat.size, dtype=flat.dtype)
        )
        points[0] = self._within(start)
        own["points"], own["velocities"] = points, (others - points) / 2
        own["bests"] = points.clone()

    def _within(self, points: Tensor) -> Tensor:
        bounds = self.settings["bounds"]
        return points if bounds is None else points.clamp(bounds[0], bounds[1])

    @property
    def _follows_best(self) -> bool:
        return True

    def _generation(self, own: dict[str, Any], evaluate: Evaluate) -> None:
        if own["losses"] is None:
            own["losses"] = evaluate(own["points"])
        else:
            self._move(own)
            if own["noisy"]:
                own["losses"] = evaluate(own["bests"])
            found = evaluate(own["points"])
            better = found < own["losses"]
            own["losses"] = torch.where(better, found, own["losses"])
            own["bests"] = torch.where(better[:, None], own["points"], own["bests"])
        self._note_best(own, own["bests"], own["losses"], evaluate)

    def _move(self, own: dict[str, Any]) -> None:
        """Set the particles' next velocities, and move them."""
        how, points = self.settings, own["points"]
        generator = generator_of(self.flat.device, self.seed, own["generation"])
        one, other = uniform(generator, 2, *points.shape, dtype=points.dtype)
        leaders = own["bests"][self._leaders(own["losses"])]
        pull = how["c1"] * one * (own["bests"] - points) + how["c2"] * other * (leaders - points)
        velocities = how["chi"] * (own["velocities"] + pull)
        moved = points + velocities
        own["points"] = self._within(moved)
        own["velocities"] = torch.where(own["points"] == moved, velocities, 0.0)

    def _leaders(self, losses: Tensor) -> Tensor:
        """Return whose best point each particle is drawn to, [K]."""
        places = torch.arange(len(losses), device=losses.device)
        if self.settings["topology"] == "global":
            return losses.argmin().expand(len(losses))
        beside = torch.stack([places, (places - 1) % len(losses), (places + 1) % len(losses)])
        return beside.gather(0, losses[beside].argmin(dim=0, keepdim=True)).squeeze(0)

    def _mean(self, own: dict[str, Any]) -> Tensor:
        mean: Tensor = own["bests"].mean(dim=0)
        return mean

    def _measure(self, own: dict[str, Any]) -> dict[str, float]:
        spread = (own["points"] - own["points"].mean(dim=0)).square().mean().sqrt()
        return {"spread": float(spread), "best": own["best_loss"]}
