"""K-FAC and EKFAC: natural gradients by Kronecker factors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any, get_args

import torch
from torch import Tensor, nn

from optbench.optim.needs import Needs
from optbench.optim.second_order.kfac.damping import adapted, quadratic_change
from optbench.optim.second_order.kfac.factors import (
    Sharing,
    Side,
    average,
    factors_of,
    over_ranks,
    rescale,
    squares,
)
from optbench.optim.second_order.kfac.inverses import Method, cost, invert, make_room
from optbench.optim.second_order.kfac.layers import Layer, layers, unknown
from optbench.optim.second_order.kfac.precondition import (
    Direction,
    kl_scale,
    pays,
    preconditioned,
    splits,
)

FISHERS = ("empirical", "sampled")


class KFAC(torch.optim.Optimizer):
    """Natural gradient by Kronecker-factored curvature (Martens & Grosse 2015; of convolutions
    Grosse & Martens 2016; of shared weights Eschenhagen et al. 2023; ekfac George et al. 2018).

        A   = f A + (1 - f) E[a a^T],  G = f G + (1 - f) E[g g^T]
        d   = (G + sqrt(damping) / pi)^-1 dW (A + pi sqrt(damping))^-1
        nu  = min(1, sqrt(kl_clip / sum over all layers of lr^2 <d, dW>))
        m   = momentum m + nu d
        W   = W - lr weight_decay W - lr m

    with f = `factor_decay`, a the inputs of a layer, g the gradients in what it gives, pi^2 the
    mean eigenvalue of A over that of G. By `eigen` d divides by the products of eigenvalues, plus
    damping, in the eigenvectors; by `ekfac` by second moments of gradients there, an average of
    their own that begins anew with each inversion: the mean of the looks since, then by `f`.

    `step` needs an objective: the closure, with methods `capture`, `drawn`, `mean` and `share_out`.
    Averages are over ranks; each inverse is computed by one of them. The gradient of a linear layer
    that has fewer rows in a batch than sides is preconditioned by its parts, which is less work.

    Args:
        params: of Linear, Conv1d, Conv2d and Embedding layers; whole layers, or without the bias.
        module: the model that they are of.
        lr: learning rate, at least 0.
        momentum: of preconditioned gradients, in [0, 1). This and `damping` a layer has of its
            weight's group.
        damping: of the Fisher matrix, above 0.
        weight_decay: decoupled, which suits K-FAC (Zhang et al. 2019, section 4).
        factor_decay: of the factors' averages, in [0, 1).
        kl_clip: the most that lr^2 <d, dW>, about twice the KL divergence of a step, may be; 0: no
            bound.
        fisher: `sampled`: g are of targets drawn from what the model predicts, which makes it the
            true Fisher matrix; `empirical`: of the given ones.
        method: `cholesky`, `eigen` or `ekfac`.
        sharing: `expand` or `reduce` where a layer works at several places of an example.
        factors_every: steps from one look at factors to the next, at least 1.
        inverses_every: steps from one inversion to the next. Before the first they are inverted
            whenever the averages are of twice as many looks.
        places: of a convolution's inputs, the most that are looked at of an example, evenly over
            it, others each time; 0 for all. (ekfac's second moments are of all.)
        largest: a factor with more rows is taken for diagonal.
        adapt_every: steps from one adaptation of the damping to the next, 0 for none: by 0.9 a
            step, down where the loss fell by more than 3/4 of what the quadratic model with the
            Gauss-Newton matrix said, up where by less than 1/4 (Levenberg-Marquardt). Inverses
            by `cholesky`, which have the damping in them, are then computed anew. Gradients have
            to be the loss's own then, not clipped.

    Raises:
        ValueError: a setting out of range, or parameters that are of no such layer.

    Attributes:
        measured: of the last step `damping`, `kl_scale` (nu), and `reduction_ratio` where the
            damping was adapted.

    Example:
        >>> optimizer = KFAC(model.parameters(), module=model, lr=0.1)
        >>> optimizer.step(objective)
    """

    needs = Needs(objective="once", module=True, fisher="empirical")

    def __init__(
        self,
        params: Any,
        module: nn.Module,
        lr: float = 0.1,
        momentum: float = 0.9,
        damping: float = 1e-3,
        weight_decay: float = 0.0,
        factor_decay: float = 0.95,
        kl_clip: float = 1e-3,
        fisher: str = "sampled",
        method: Method = "cholesky",
        sharing: Sharing = "expand",
        factors_every: int = 10,
        inverses_every: int = 100,
        places: int = 16,
        largest: int = 8192,
        adapt_every: int = 0,
    ) -> None:
        _among("fisher", fisher, FISHERS)
        _among("method", method, get_args(Method))
        _among("sharing", sharing, get_args(Sharing))
        _whole({"factors_every": factors_every, "inverses_every": inverses_every}, low=1)
        _whole({"largest": largest}, low=1)
        _whole({"places": places, "adapt_every": adapt_every}, low=0)
        if not 0 <= factor_decay < 1:
            raise ValueError(f"factor_decay={factor_decay} is not in [0, 1)")
        if not kl_clip >= 0:
            raise ValueError(f"kl_clip={kl_clip} is below 0")
        defaults = {"lr": lr, "momentum": momentum, "damping": damping}
        super().__init__(params, defaults | {"weight_decay": weight_decay})
        for group in self.param_groups:
            _check(group)
        self._decay, self._kl_clip, self._fisher = factor_decay, kl_clip, fisher
        self._method, self._sharing = method, sharing
        self._factors_every, self._inverses_every = int(factors_every), int(inverses_every)
        self._places, self._largest = int(places), int(largest)
        self._adapt_every = int(adapt_every)
        self._layers = self._own_layers(module)
        adapts = self._adapt_every > 0  # by the gradient, the Gauss-Newton matrix and two losses
        self.needs = replace(
            type(self).needs,
            fisher=fisher,  # type: ignore[arg-type]
            hvp=adapts,
            ggn=adapts,
            own_gradient=adapts,
        )
        self.measured: dict[str, float | Tensor] = {}

    @property
    def taken(self) -> int:
        """Steps taken; kept with what else there is of the first layer."""
        return int(self.state[self._layers[0].weight].get("taken", 0))

    @property
    def damping_factor(self) -> float:
        """By which damping is multiplied, where it adapts."""
        return float(self.state[self._layers[0].weight].get("damping_factor", 1.0))

    def _own_layers(self, module: nn.Module) -> list[Layer]:
        """Return the layers of the parameters.

        Raises:
            ValueError: some are of none.
        """
        mine = {id(p): p for group in self.param_groups for p in group["params"]}
        found = []
        for layer in layers(module):
            if id(layer.weight) in mine:
                bias = layer.bias if id(layer.bias) in mine else None
                found.append(replace(layer, bias=bias))
        left = set(mine) - {id(p) for layer in found for p in layer.parameters}
        for name, kind in unknown(module):
            own = module.get_submodule(name) if name != "the model itself" else module
            if any(id(p) in left for p in own.parameters(recurse=False)):
                raise ValueError(
                    f"K-FAC knows no layer like {name} ({kind}); it knows Linear, Conv1d, Conv2d "
                    "and Embedding, untied, and leaves others to a companion"
                )
        if left or not found:
            raise ValueError(f"{len(left)} of the parameters are of no layer whose weight is here")
        return found

    @torch.no_grad()
    def step(self, closure: Any) -> Any:  # type: ignore[override]
        """Take one update by an objective; return the loss.

        Raises:
            ValueError: at the first step, a layer has a gradient and is not called as a module.
        """
        objective, looks = closure, self.taken % self._factors_every == 0
        sampled = self._fisher == "sampled"
        parts = self._by_parts(objective)
        wanted = self._layers if (looks and not sampled) or self.taken == 0 else parts
        with self._captured(objective, wanted) as seen, torch.enable_grad():
            loss = objective()
        if self.taken == 0:
            self._check_seen(objective, seen)
        self._group_of = {id(p): group for group in self.param_groups for p in group["params"]}
        own = self.state[self._layers[0].weight]
        due = own.pop("adapted", False) or self.taken % self._inverses_every == 0
        if looks and sampled:
            with self._captured(objective, self._layers) as drawn:
                objective.drawn(self.taken)
            self._look(objective, drawn, due)
        elif looks:
            self._look(objective, seen, due)
        elif due:
            self._invert(objective, [x for x in self._layers if "A" in self.state[x.weight]])
        known = {layer: seen[layer.module] for layer in parts}
        self._update(objective, loss, self._directions(known))
        self.state[self._layers[0].weight]["taken"] = self.taken + 1
        return loss

    def _check_seen(self, objective: Any, seen: Any) -> None:
        """Refuse layers whose weights are used without a call that a capture could see."""
        first = self._layers[0].weight
        calls = [float(len(seen[layer.module])) for layer in self._layers]
        (over_ranks,) = objective.mean([torch.tensor(calls, device=first.device)])
        for layer, count in zip(self._layers, over_ranks.tolist(), strict=True):
            if layer.weight.grad is not None and not count:
                raise ValueError(
                    f"K-FAC sees nothing of {layer.name} ({type(layer.module).__name__}): its "
                    "weight has a gradient, and it is not called as a module; call it, or leave "
                    "its parameters to another optimizer"
                )

    def _captured(self, objective: Any, wanted: Sequence[Layer]) -> Any:
        """Return a block in which an evaluation is seen of some layers; of none, nothing."""
        modules = [layer.module for layer in wanted]
        return objective.capture(modules) if modules else nullcontext({})

    def _by_parts(self, objective: Any) -> list[Layer]:
        """Return the layers whose gradients are preconditioned by their parts.

        Of several ranks each has only some of the parts.
        """
        if objective.ranks > 1 or self._method != "cholesky":
            return []
        return [layer for layer in self._layers if self.state[layer.weight].get("by_parts")]

    def _look(self, objective: Any, capture: Any, due: bool) -> None:
        """Move the factors' averages by what was seen; then the inverses, if it is their turn.

        A layer of which a factor is not finite is looked at another time.
        """
        seen = {layer: capture[layer.module] for layer in self._layers}
        together = objective.ranks > 1
        used = [x for x in self._layers if seen[x] or (together and x.weight.grad is not None)]
        turn = self.taken // self._factors_every
        found: list[Sequence[Side]] = [
            factors_of(layer, seen[layer], self._sharing, self._largest, self._places, turn)
            if seen[layer]
            else ()
            for layer in used
        ]
        if together:
            found = list(over_ranks(objective, used, found, self._largest))
        sound = _sound(found)
        used = [layer for layer, good in zip(used, sound, strict=True) if good]
        found = [sides for sides, good in zip(found, sound, strict=True) if good]
        for layer, (a, g) in zip(used, found, strict=True):
            state = self.state[layer.weight]
            average(state, {"A": a, "G": g}, self._decay)
            rows = sum(each.inputs.numel() // each.inputs.shape[-1] for each in seen[layer])
            state["by_parts"] = not together and splits(layer, state) and pays(layer, rows)
        early = self.taken < self._inverses_every
        doubled = {layer for layer in used if self._doubled(layer, early)}
        known = [layer for layer in self._layers if "A" in self.state[layer.weight]]
        self._invert(objective, [layer for layer in known if due or layer in doubled])
        if self._method == "ekfac":
            of_ranks = [squares(layer, seen[layer], self.state[layer.weight]) for layer in used]
            for layer, square in zip(used, objective.mean(of_ranks), strict=True):
                rescale(self.state[layer.weight], square, self._decay)

    def _doubled(self, layer: Layer, early: bool) -> bool:
        """Return whether a layer has no inverses, or, early on, of half as many looks."""
        state = self.state[layer.weight]
        count = int(state["averaged"])
        return (early and count & (count - 1) == 0) or count == 1

    def _invert(self, objective: Any, wanted: Sequence[Layer]) -> None:
        if not wanted:
            return
        states = [self.state[layer.weight] for layer in wanted]
        rooms = [make_room(state, self._method) for state in states]

        def compute(job: int) -> None:
            damping = self._damping(wanted[job])
            invert(states[job], self._method, damping, self._decay)

        objective.share_out([cost(state) for state in states], rooms, compute)
        if self._method == "ekfac":
            for state in states:
                state["rescaled"] = 0

    def _damping(self, layer: Layer) -> float:
        return float(self._group_of[id(layer.weight)]["damping"]) * self.damping_factor

    def _directions(self, parts: Mapping[Layer, Sequence[Any]]) -> dict[Layer, Direction]:
        """Return the preconditioned gradients, of some layers by these parts of them."""
        found = {}
        for layer in self._layers:
            state = self.state[layer.weight]
            if layer.weight.grad is not None and "A" in state:
                damping, seen = self._damping(layer), parts.get(layer, [])
                found[layer] = preconditioned(
                    layer, state, self._method, damping, seen, seed=self.taken
                )
        return found

    def _kl_scale(self, directions: Mapping[Layer, Direction]) -> float | Tensor:
        """Return nu: a number, but on a GPU, where it would be waited for."""
        if not self._kl_clip or not directions:
            return 1.0
        parts = []
        for layer, direction in directions.items():
            rates = [float(self._group_of[id(p)]["lr"]) ** 2 for p in layer.parameters]
            dots = direction.dot()
            parts += [dot.double() * rate for dot, rate in zip(dots, rates, strict=True)]
        scale = kl_scale(torch.stack(parts).sum(), self._kl_clip)
        return float(scale) if scale.device.type == "cpu" else scale

    def _update(self, objective: Any, loss: Any, directions: Mapping[Layer, Direction]) -> None:
        """Move the parameters; adapt the damping, if it is its turn."""
        damping = float(self.param_groups[0]["damping"]) * self.damping_factor
        scale = self._kl_scale(directions)
        self.measured = {"damping": damping, "kl_scale": scale}
        for layer, direction in directions.items():
            buffers = [self._buffer(parameter) for parameter in layer.parameters]
            momentum = float(self._group_of[id(layer.weight)]["momentum"])
            direction.move(buffers, momentum, scale)
        parameters = [p for layer in directions for p in layer.parameters]
        adapts = parameters and self._adapt_every and (self.taken + 1) % self._adapt_every == 0
        said = None
        if adapts:
            said = quadratic_change(objective, parameters, [self._way(p) for p in parameters])
        for parameter in parameters:
            group = self._group_of[id(parameter)]
            if group["weight_decay"]:
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.add_(self.state[parameter]["momentum_buffer"], alpha=-group["lr"])
        if said is not None:
            ratio = float((objective.loss() - loss) / said)
            self.measured["reduction_ratio"] = ratio
            factor = adapted(self.damping_factor, ratio, self._adapt_every, damping)
            own = self.state[self._layers[0].weight]
            own["adapted"] = factor != self.damping_factor and self._method == "cholesky"
            own["damping_factor"] = factor

    def _buffer(self, parameter: nn.Parameter) -> Tensor:
        """Return a parameter's momentum; zeros at first, in the factors' number format."""
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            wide = torch.promote_types(parameter.dtype, torch.float32)
            state["momentum_buffer"] = torch.zeros(
                parameter.shape, dtype=wide, device=parameter.device
            )
        found: Tensor = state["momentum_buffer"]
        return found

    def _way(self, parameter: nn.Parameter) -> Tensor:
        """Return how far a parameter is going to move."""
        group = self._group_of[id(parameter)]
        decay = parameter * (group["lr"] * group["weight_decay"])
        way: Tensor = -group["lr"] * self.state[parameter]["momentum_buffer"] - decay
        return way.to(parameter.dtype)


def _sound(found: Sequence[Sequence[Side]]) -> list[bool]:
    """Return of which layers both factors are finite."""
    if not found:
        return []
    return torch.stack([a.finite() & g.finite() for a, g in found]).tolist()


def _among(name: str, value: object, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name}={value} is not {', '.join(known[:-1])} or {known[-1]}")


def _whole(settings: Mapping[str, float], low: int) -> None:
    for name, value in settings.items():
        if value < low or value != int(value):
            raise ValueError(f"{name}={value} is not a whole number of at least {low}")


def _check(group: Mapping[str, Any]) -> None:
    for name, low in (("lr", 0), ("weight_decay", 0)):
        if group[name] < low:
            raise ValueError(f"{name}={group[name]} is below {low}")
    if not 0 <= group["momentum"] < 1:
        raise ValueError(f"momentum={group['momentum']} is not in [0, 1)")
    if not group["damping"] > 0:
        raise ValueError(f"damping={group['damping']} is not above 0")
