"""A genetic algorithm, on real vectors and on discrete ones."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import above_zero
from optbench.optim.population.base import Evaluate, Population
from optbench.optim.population.draws import generator_of, normal, uniform

LEARNING = 0.22
"""How fast the rate of discrete mutations adapts (Bäck & Schütz 1996, section 3)."""


class GA(Population):
    """A genetic algorithm: tournaments, elites, crossover, mutations whose size is adapted.

    Each generation keeps the `elites` best members; all others are children. A child has two
    parents, each the best of `tournament` members drawn at random. With probability `crossover`
    it is mixed of both: a real gene lies anywhere between the parents' or half as far beyond
    (BLX-0.5, Eshelman & Schaffer 1993), a discrete one is one parent's or the other's. Then it is
    mutated.

    - Real genes: N(0, s^2) is added to each. s is the child's own, and a gene too: the parents'
      (geometric) mean times exp(N(0, 1) / sqrt(n)), which selection adapts (Schwefel 1981).
    - Discrete genes, where `values` are given: each takes another value with probability p, the
      child's own, which is adapted likewise on a logistic scale (Bäck & Schütz 1996).

    The first population is the parameters, as they are (or the nearest values), and random ones
    around them (or of random values). Where the loss is noisy, elites are evaluated again at each
    step, so none stays for its luck.

    Args:
        params: all parameters, in one group.
        sigma: the first s of real genes, above 0.
        population: members, at least 2.
        values: what a gene may be, at least 2 numbers; None for any.
        rate: the first p of discrete genes; None for 1 / n.
        elites: fewer than members.
        tournament: members of each, at least 1.
        crossover: in [0, 1].
        evaluate: see `Population`; the mean is that of all members, of real genes only.
        noisy, way, seed: see `Population`.

    Raises:
        ValueError: a setting out of range.
    """

    def __init__(
        self,
        params: Any,
        sigma: float = 0.1,
        population: int = 50,
        values: Sequence[float] | None = None,
        rate: float | None = None,
        elites: int = 2,
        tournament: int = 3,
        crossover: float = 0.9,
        evaluate: str = "best",
        *,
        noisy: bool | None = None,
        way: str | None = None,
        seed: int | None = None,
    ) -> None:
        if values is not None:
            _check_values(values)
        if values is not None and len(set(values)) < 2:
            raise ValueError(f"values={list(values)}: a gene needs at least 2 to choose from")
        if values is not None and evaluate == "mean":
            raise ValueError("evaluate=mean: the mean of discrete members is none of the values")
        own = {"sigma": sigma, "values": None if values is None else sorted(set(values))}
        own |= {"rate": rate, "elites": elites, "tournament": tournament, "crossover": crossover}
        super().__init__(
            params, own, population=population, evaluate=evaluate, noisy=noisy, way=way, seed=seed
        )
        above_zero(self.settings, "sigma")
        if not 0 <= elites < population:
            raise ValueError(f"elites={elites}: expected 0 to {population - 1}, fewer than members")
        if tournament < 1:
            raise ValueError(f"tournament={tournament}: needs at least 1 member")
        if not 0 <= crossover <= 1:
            raise ValueError(f"crossover={crossover}: expected a probability, 0 to 1")
        if rate is not None and not 0 < rate <= 1:
            raise ValueError(f"rate={rate}: expected a probability above 0")
        self._refuse_large(self.flat.size * 3 * population, f"a population of {population}")

    def _begin(self, own: dict[str, Any]) -> None:
        flat, count = self.flat, self.settings["population"]
        generator = generator_of(flat.device, self.seed, 0)
        start = flat.read()
        if self.settings["values"] is None:
            noise = normal(generator, count, flat.size, dtype=flat.dtype)
            own["members"] = start + self.settings["sigma"] * noise
            own["members"][0] = start
            first = self.settings["sigma"]
        else:
            values = self._values()
            size = (count, flat.size)
            chosen = torch.randint(len(values), size, generator=generator, device=flat.device)
            chosen[0] = nearest(start, values)
            own["members"] = values[chosen]
            first = self.settings["rate"] or 1 / flat.size
        own["sizes"] = torch.full((count,), first, dtype=torch.float64, device=flat.device)
        own["losses"] = None

    def _values(self) -> Tensor:
        return torch.tensor(self.settings["values"], dtype=self.flat.dtype, device=self.flat.device)

    @property
    def _follows_best(self) -> bool:
        return True

    def _generation(self, own: dict[str, Any], evaluate: Evaluate) -> None:
        if own["losses"] is None:
            own["losses"] = evaluate(own["members"])
        else:
            self._replace(own, evaluate)
        self._note_best(own, own["members"], own["losses"], evaluate)

    def _replace(self, own: dict[str, Any], evaluate: Evaluate) -> None:
        """Put elites and children in the members' place."""
        elites = own["losses"].argsort(stable=True)[: self.settings["elites"]]
        children, sizes = self._children(own)
        if own["noisy"]:
            own["members"] = torch.cat([own["members"][elites], children])
            own["losses"] = evaluate(own["members"])
        else:
            losses = evaluate(children)
            own["members"] = torch.cat([own["members"][elites], children])
            own["losses"] = torch.cat([own["losses"][elites], losses])
        own["sizes"] = torch.cat([own["sizes"][elites], sizes])

    def _children(self, own: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """Return new members, and how large each one's mutations were."""
        flat, how = self.flat, self.settings
        count, among = how["population"] - how["elites"], len(own["members"])
        generator = generator_of(flat.device, self.seed, own["generation"])
        size = (2, count, how["tournament"])
        drawn = torch.randint(among, size, generator=generator, device=flat.device)
        winner = own["losses"][drawn].argmin(dim=-1, keepdim=True)
        one, other = drawn.gather(-1, winner).squeeze(-1)
        mixed = uniform(generator, count, dtype=torch.float64) < how["crossover"]
        sizes = own["sizes"]
        sizes = torch.where(mixed, (sizes[one] * sizes[other]).sqrt(), sizes[one])
        draw = normal(generator, count, dtype=torch.float64)
        members = own["members"]
        where = uniform(generator, count, flat.size, dtype=flat.dtype)
        if how["values"] is None:
            between = members[one] + (2 * where - 0.5) * (members[other] - members[one])
            children = torch.where(mixed[:, None], between, members[one])
            sizes = sizes * (draw / math.sqrt(flat.size)).exp()
            noise = normal(generator, count, flat.size, dtype=flat.dtype)
            return children + sizes[:, None].to(flat.dtype) * noise, sizes
        taken = mixed[:, None] & (where < 0.5)
        children = torch.where(taken, members[other], members[one])
        sizes = adapted_rate(sizes, draw, least=min(0.5, 1 / flat.size))
        return self._mutated(children, sizes, generator), sizes

    def _mutated(self, children: Tensor, rates: Tensor, generator: torch.Generator) -> Tensor:
        """Return discrete members, of whose genes some have another value."""
        values, shape = self._values(), children.shape
        hit = uniform(generator, *shape, dtype=self.flat.dtype) < rates[:, None]
        step = torch.randint(1, len(values), shape, generator=generator, device=children.device)
        changed = (torch.searchsorted(values, children) + step) % len(values)
        return torch.where(hit, values[changed], children)

    def _mean(self, own: dict[str, Any]) -> Tensor:
        mean: Tensor = own["members"].mean(dim=0)
        return mean

    def _measure(self, own: dict[str, Any]) -> dict[str, float]:
        name = "sigma" if self.settings["values"] is None else "rate"
        return {name: float(own["sizes"].median()), "best": own["best_loss"]}


def _check_values(values: Any) -> None:
    """Raise ValueError for what is no list of finite numbers."""
    several = isinstance(values, Sequence) and not isinstance(values, str)
    for each in values if several else [values]:
        number = isinstance(each, Real) and not isinstance(each, bool)
        if not several or not number or not abs(each) <= sys.float_info.max:
            said = list(values) if several else values
            raise ValueError(f"values={said}: expected a list of finite numbers, such as [0, 1]")


def nearest(point: Tensor, values: Tensor) -> Tensor:
    """Return the place of the value that is nearest to each coordinate; values are in order."""
    between = (values[1:] + values[:-1]) / 2
    return torch.searchsorted(between, point.contiguous())


def adapted_rate(rates: Tensor, draw: Tensor, least: float) -> Tensor:
    """Return probabilities moved by standard normal draws on a logistic scale."""
    odds = (1 - rates) / rates * (-LEARNING * draw).exp()
    return (1 / (1 + odds)).clamp(least, 0.5)
