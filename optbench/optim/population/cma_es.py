"""CMA-ES: a normal distribution whose covariance is learnt."""

from __future__ import annotations

import math
import random
from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import above_zero
from optbench.optim.population.base import Evaluate, Population
from optbench.optim.population.cma_restarts import RESTARTS, next_run, stops
from optbench.optim.population.cma_settings import Strategy, default_population, strategy
from optbench.optim.population.draws import generator_of, normal

COVARIANCES = ("full", "separable")
MOST_FULL = 2000
"""Parameters up to which a covariance is full where nobody says."""
REMEMBERED = 20_000
"""Generations whose losses are kept, to tell whether a run stagnates."""
LEAST_RATIO = 1e-16
"""Of a variance to the greatest: smaller ones are rounding errors."""


class CMAES(Population):
    """Covariance matrix adaptation (Hansen 2016, arXiv:1604.00772), active.

        x_k   ~ m + sigma N(0, C)
        m     <- m + sigma sum_i w_i y_i, over the better half
        p_s   <- (1 - c_s) p_s + sqrt(c_s (2 - c_s) mu_eff) C^(-1/2) sum_i w_i y_i
        sigma <- sigma exp(c_s / d_s (||p_s|| / E||N(0, I)|| - 1))
        C     <- (1 - c_1 - c_mu sum w) C + c_1 p_c p_c' + c_mu sum_i w_i y_i y_i'

    The worse half has negative weights in C (Jastrebski & Arnold 2006). All is in double precision,
    whatever the parameters are. The eigenvectors of C are taken anew as often as it changes by a
    tenth or so, which costs n^3 each; C itself takes n^2.

    Args:
        params: all parameters, in one group.
        sigma: the first step size, above 0: about a third of how far the best point may be.
        population: None for 4 + 3 ln n.
        covariance: `full`, or `separable`: a diagonal, for more parameters (Ros & Hansen 2008);
            None is full for up to 2,000.
        restarts: `none`, `ipop` or `bipop`: begin anew where the run began, with a larger
            population, when the search has come to its end; only with `evaluate` best.
        evaluate: see `Population`; the mean is m.
        noisy, way, seed: see `Population`.

    Raises:
        ValueError: a setting out of range; more parameters than a covariance fits for.
    """

    def __init__(
        self,
        params: Any,
        sigma: float = 0.3,
        population: int | None = None,
        covariance: str | None = None,
        restarts: str = "none",
        evaluate: str = "mean",
        *,
        noisy: bool | None = None,
        way: str | None = None,
        seed: int | None = None,
    ) -> None:
        if covariance is not None and covariance not in COVARIANCES:
            raise ValueError(f"covariance={covariance}: expected {' or '.join(COVARIANCES)}")
        if restarts not in RESTARTS:
            raise ValueError(f"restarts={restarts}: expected {', '.join(RESTARTS)}")
        if restarts != "none" and evaluate != "best":
            raise ValueError(
                f"restarts={restarts}: the mean begins anew at each; only with evaluate=best"
            )
        own = {"sigma": sigma, "covariance": covariance, "restarts": restarts}
        super().__init__(
            params,
            own,
            population=2 if population is None else population,
            evaluate=evaluate,
            noisy=noisy,
            way=way,
            seed=seed,
        )
        n = self.flat.size
        if covariance is None:
            covariance = "full" if n <= MOST_FULL else "separable"
            self.settings["covariance"] = covariance
        members = default_population(n) if population is None else population
        self.settings["population"] = members
        above_zero(self.settings, "sigma")
        if covariance == "full":
            self._refuse_large(3 * n * n, "matrices", "; use covariance=separable")
        self._refuse_large(n * (3 * members + 6), f"a population of {members}")
        self._strategies: dict[int, Strategy] = {}

    def _begin(self, own: dict[str, Any]) -> None:
        own["start"] = self.flat.read().double()
        population, sigma = self.settings["population"], float(self.settings["sigma"])
        run = {"first": (population, sigma), "population": population, "sigma0": sigma}
        run |= {"small": True, "doubled": 0, "spent": [0, 0], "limit": 0, "began": 0, "number": 0}
        self._restart(own, run)

    def _restart(self, own: dict[str, Any], run: dict[str, Any]) -> None:
        """Begin a run where the first one began."""
        n, device = self.flat.size, self.flat.device
        zero = torch.zeros(n, dtype=torch.float64, device=device)
        own["run"] = {**run, "bests": [], "medians": []}
        own["mean"], own["sigma"] = own["start"].clone(), run["sigma0"]
        own["path"], own["step_path"] = zero, zero.clone()
        own["axes"], own["scales"] = None, torch.ones_like(zero)
        own["decomposed"] = run["began"]
        if self.settings["covariance"] == "full":
            own["covariance"] = torch.eye(n, dtype=torch.float64, device=device)
        else:
            own["covariance"] = torch.ones_like(zero)

    def _count(self, own: dict[str, Any]) -> int:
        """Return how many points are evaluated at once; later runs have larger populations."""
        members = int(self.settings["population"])
        return members if self.settings["restarts"] == "none" else 8 * members

    def _strategy(self, population: int) -> Strategy:
        if population not in self._strategies:
            separable = self.settings["covariance"] == "separable"
            found = strategy(self.flat.size, population, separable, self.flat.device)
            self._strategies[population] = found
        return self._strategies[population]

    def _generation(self, own: dict[str, Any], evaluate: Evaluate) -> None:
        how = self._strategy(own["run"]["population"])
        self._decompose(own, how)
        generator = generator_of(self.flat.device, self.seed, own["generation"])
        drawn = normal(generator, len(how.weights), self.flat.size, dtype=torch.float64)
        steps = drawn * own["scales"]
        if own["axes"] is not None:
            steps = steps @ own["axes"].T
        points = (own["mean"] + own["sigma"] * steps).to(self.flat.dtype)
        losses = evaluate(points)
        self._note_best(own, points, losses, evaluate)
        if bool(losses.isfinite().any()):
            order = losses.argsort(stable=True)
            self._adapt(own, how, drawn[order], steps[order])
            if self.settings["restarts"] != "none":
                self._end_run(own, losses.tolist())

    def _adapt(self, own: dict[str, Any], how: Strategy, drawn: Tensor, steps: Tensor) -> None:
        """Move the distribution; `drawn` and `steps` are the members', best first."""
        n, best = self.flat.size, how.weights[: how.parents]
        step, white = best @ steps[: how.parents], best @ drawn[: how.parents]
        own["mean"] = own["mean"] + own["sigma"] * step
        if own["axes"] is not None:
            white = own["axes"] @ white
        c_s, c_c = how.c_sigma, how.c_c
        own["step_path"] = (1 - c_s) * own["step_path"] + _gain(c_s, how) * white
        length = float(own["step_path"].norm())
        age = own["generation"] - own["run"]["began"] + 1
        short = length**2 / (1 - (1 - c_s) ** (2 * age)) / n < 2 + 4 / (n + 1)
        own["path"] = (1 - c_c) * own["path"] + short * _gain(c_c, how) * step
        growth = c_s / how.d_sigma * (length / how.expected - 1)
        own["sigma"] *= math.exp(min(1.0, growth))
        self._learn(own, how, drawn, steps, short)

    def _learn(
        self, own: dict[str, Any], how: Strategy, drawn: Tensor, steps: Tensor, short: bool
    ) -> None:
        """Update C; `short` is false where the path is too long to be added."""
        n, weights = self.flat.size, how.weights
        # C^(-1/2) y is what was drawn, turned; so that C stays positive, negative ones are scaled.
        scaled = torch.where(weights < 0, weights * n / drawn.square().sum(dim=1), weights)
        lost = 0.0 if short else how.c_1 * how.c_c * (2 - how.c_c)
        keep = 1 + lost - how.c_1 - how.c_mu * float(weights.sum())
        path = own["path"]
        if self.settings["covariance"] == "full":
            one, many = torch.outer(path, path), (steps.T * scaled) @ steps
        else:
            one, many = path.square(), scaled @ steps.square()
        own["covariance"] = keep * own["covariance"] + how.c_1 * one + how.c_mu * many

    def _decompose(self, own: dict[str, Any], how: Strategy) -> None:
        """Take the axes and their lengths anew, if C has changed enough."""
        if self.settings["covariance"] == "separable":
            own["scales"] = _bounded(own["covariance"]).sqrt()
            return
        gap = max(1, int(1 / (10 * self.flat.size * (how.c_1 + how.c_mu))))
        since = own["generation"] - own["decomposed"]
        if since >= gap or (own["axes"] is None and since):
            covariance = (own["covariance"] + own["covariance"].T) / 2
            values, own["axes"] = torch.linalg.eigh(covariance)
            own["scales"] = _bounded(values).sqrt()
            own["decomposed"] = own["generation"]

    def _end_run(self, own: dict[str, Any], losses: list[float]) -> None:
        """Begin the next run, if this one is at its end."""
        run = own["run"]
        ordered = sorted(losses)
        run["bests"].append(ordered[0])
        run["medians"].append(ordered[len(ordered) // 2])
        del run["bests"][:-REMEMBERED], run["medians"][:-REMEMBERED]
        widest, least = float(own["scales"].max()), float(own["scales"].min())
        spread = (own["sigma"] * widest, own["sigma"] * least, widest / least)
        now = {**run, "losses": losses, "generation": own["generation"] + 1}
        if stops(now, spread, self.flat.size):
            draw = random.Random(f"{self.seed} {own['generation']}")
            self._restart(own, next_run(now, self.settings["restarts"], draw))

    def _mean(self, own: dict[str, Any]) -> Tensor:
        mean: Tensor = own["mean"]
        return mean.to(self.flat.dtype)

    def _measure(self, own: dict[str, Any]) -> dict[str, float]:
        scales = own["scales"]
        said = {"sigma": own["sigma"], "best": own["best_loss"]}
        said["axis_ratio"] = float(scales.max() / scales.min())
        if self.settings["restarts"] != "none":
            said |= {"restarts": own["run"]["number"], "population": own["run"]["population"]}
        return said


def _gain(rate: float, how: Strategy) -> float:
    return math.sqrt(rate * (2 - rate) * how.mu_eff)


def _bounded(variances: Tensor) -> Tensor:
    return variances.clamp(min=float(variances.max()) * LEAST_RATIO)
