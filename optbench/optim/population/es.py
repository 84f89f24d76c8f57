"""Evolution strategies: a gradient from the ranks of perturbed points."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from optbench.optim.engine.ranges import above_zero, at_least_zero, betas_in_range, in_unit_interval
from optbench.optim.needs import Needs
from optbench.optim.population.base import Evaluate, Population
from optbench.optim.population.draws import generator_of, normal

INNER = ("adam", "sgd")


class ES(Population):
    """OpenAI's evolution strategy (Salimans et al. 2017, algorithm 2, as their code has it).

        eps_i ~ N(0, I), half of the members' with the sign of the other half (antithetic)
        u_i     = rank of L(theta + sigma eps_i), from 1/2 for the least loss to -1/2
        g       = -mean_i u_i eps_i + weight_decay theta
        theta   = theta - lr g, or by Adam

    Ranks make it indifferent to the loss's scale. Members with equal losses share their ranks.
    Where members are too many for memory their perturbations are drawn twice.

    Args:
        params: parameters or groups; a group may have lr, sigma, weight_decay, momentum, betas and
            eps of its own.
        lr: learning rate, at least 0.
        sigma: standard deviation of the perturbations, above 0.
        population: members, at least 2; even where they are antithetic.
        inner: `adam` or `sgd`.
        momentum: of `sgd`, in [0, 1).
        betas, eps: of `adam`.
        weight_decay: added to the gradient (L2).
        antithetic: whether members come in pairs.
        evaluate: see `Population`; the mean is theta.
        noisy, way, seed: see `Population`.

    Raises:
        ValueError: a setting out of range.
    """

    needs = Needs(objective="many", gradients=False)
    grouped = True

    def __init__(
        self,
        params: Any,
        lr: float = 1e-2,
        sigma: float = 0.02,
        population: int = 64,
        inner: str = "adam",
        momentum: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.005,
        antithetic: bool = True,
        evaluate: str = "mean",
        *,
        noisy: bool | None = None,
        way: str | None = None,
        seed: int | None = None,
    ) -> None:
        if inner not in INNER:
            raise ValueError(f"inner={inner}: expected {' or '.join(INNER)}")
        if antithetic and population > 1 and population % 2:
            raise ValueError(
                f"population={population}: antithetic members come in pairs; take an even number"
            )
        own = {"lr": lr, "sigma": sigma, "inner": inner, "weight_decay": weight_decay}
        own |= {"betas": betas, "eps": eps} if inner == "adam" else {"momentum": momentum}
        own["antithetic"] = antithetic
        super().__init__(
            params, own, population=population, evaluate=evaluate, noisy=noisy, way=way, seed=seed
        )
        for group in self.param_groups:
            at_least_zero(group, "lr", "weight_decay")
            above_zero(group, "sigma")
            in_unit_interval({"momentum": momentum, **group}, "momentum")
            betas_in_range(group.get("betas", betas))
            at_least_zero({"eps": eps, **group}, "eps")

    def _begin(self, own: dict[str, Any]) -> None:
        """Keep nothing: the inner optimizer's state comes with its first step."""

    def _generation(self, own: dict[str, Any], evaluate: Evaluate) -> None:
        here = self._mean(own)
        parts = self._parts(own)
        losses, lowest, best = [], torch.inf, here
        for first, count in parts:
            noise = self._noise(own, first, count)
            points = here + noise * self._sigmas()
            found = evaluate(points)
            losses.append(found)
            if self._follows_best and float(found.min()) < lowest:
                lowest, best = float(found.min()), points[int(found.argmin())].clone()
            del points
        together = torch.cat(losses)
        self._note_best(own, best[None], together.min()[None], evaluate)
        self.flat.write(here)
        if bool(together.isfinite().any()):
            weights = centred_ranks(together).to(self.flat.dtype)
            slope = torch.zeros_like(here)
            for first, count in parts:
                if len(parts) > 1:
                    noise = self._noise(own, first, count)
                slope -= weights[first : first + count] @ noise
            self._update(own, slope / len(weights))
        if self._follows_best:
            own["centre"] = self.flat.read()

    def _parts(self, own: dict[str, Any]) -> list[tuple[int, int]]:
        """Return where parts of the population begin, and how many members they have."""
        total, most = self.settings["population"], own["plan"]["chunk"]
        step = max(2, most - most % 2) if self.settings["antithetic"] else most
        return [(first, min(step, total - first)) for first in range(0, total, step)]

    def _noise(self, own: dict[str, Any], first: int, count: int) -> Tensor:
        """Return the perturbations of some members, [count, size], whatever the parts are."""
        flat, step = self.flat, own["generation"]
        noise = torch.empty(count, flat.size, dtype=flat.dtype, device=flat.device)
        pairs = 2 if self.settings["antithetic"] else 1
        for place in range(0, count, pairs):
            generator = generator_of(flat.device, self.seed, step, first + place)
            noise[place] = normal(generator, flat.size, dtype=flat.dtype)
            if pairs == 2:
                torch.neg(noise[place], out=noise[place + 1])
        return noise

    def _sigmas(self) -> Tensor | float:
        return self.flat.spread([g["sigma"] for g in self.param_groups for _ in g["params"]])

    def _update(self, own: dict[str, Any], slope: Tensor) -> None:
        """Take the inner optimizer's step, in place."""
        lengths = [p.numel() for p in self.flat.parameters]
        parts = iter(slope.split(lengths))
        for group in self.param_groups:
            for parameter in group["params"]:
                gradient = next(parts).view_as(parameter).to(parameter.dtype)
                gradient = gradient + group["weight_decay"] * parameter
                inner = _adam if group["inner"] == "adam" else _sgd
                inner(parameter, gradient, self.state[parameter], group, own["generation"] + 1)

    def _mean(self, own: dict[str, Any]) -> Tensor:
        return own["centre"] if "centre" in own else self.flat.read()

    def _measure(self, own: dict[str, Any]) -> dict[str, float]:
        return {"sigma": self.settings["sigma"], "best": own["best_loss"]}


def centred_ranks(losses: Tensor) -> Tensor:
    """Return 1/2 for the least loss, -1/2 for the greatest, and in between by rank; [K], float64.

    Equal losses share the mean of their ranks, so they pull nowhere.
    """
    ordered, _ = losses.sort()
    low = torch.searchsorted(ordered, losses, side="left")
    high = torch.searchsorted(ordered, losses, side="right") - 1
    return 0.5 - (low + high).double() / (2 * (len(losses) - 1))


def _adam(theta: Tensor, gradient: Tensor, state: Any, group: Any, step: int) -> None:
    beta1, beta2 = group["betas"]
    if "exp_avg" not in state:
        state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(theta), torch.zeros_like(theta)
    state["exp_avg"].lerp_(gradient, 1 - beta1)
    state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    divisor = (state["exp_avg_sq"].sqrt() / (1 - beta2**step) ** 0.5).add_(group["eps"])
    theta.addcdiv_(state["exp_avg"], divisor, value=-group["lr"] / (1 - beta1**step))


def _sgd(theta: Tensor, gradient: Tensor, state: Any, group: Any, step: int) -> None:
    if group["momentum"]:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(theta)
        gradient = state["momentum_buffer"].mul_(group["momentum"]).add_(gradient)
    theta.add_(gradient, alpha=-group["lr"])
