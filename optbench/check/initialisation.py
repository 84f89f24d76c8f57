"""The model as it begins: its loss, the scale of what goes through its layers, units that are dead
or equal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from optbench.check.base import Finding, Skipped, failed, first_few, passed, warned
from optbench.check.setup import Setup
from optbench.check.structure import pair
from optbench.optim.groups import NORMS
from optbench.tasks.base import Lanes

OTHERS = ("kaiming", "xavier", "orthogonal")
"""Rules of `model.init` that are tried where something is odd."""
LOSS_FAIL, LOSS_WARN = 5.0, 2.0
"""Times the loss of saying nothing."""
REGRESSION = 200
"""Times as far for numbers to be predicted, whose scale is anybody's: an IRNN begins at 40."""
DEAD, SATURATED = 0.9, 0.85
"""Of a layer's units."""
SPREAD = 1000.0
"""Times that the scale of one layer's output may be another's."""
VANISHED = 1e-7
"""Mean absolute gradient below which a layer does not learn (SageMaker Debugger)."""
ACTIVATIONS = (nn.ReLU, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.ELU)


class Initialisation:
    """One batch, forward and backward, before anything is trained."""

    name = "initialisation"

    def run(self, setup: Setup) -> Iterator[Finding]:
        """See `Check`."""
        if setup.is_function:
            raise Skipped("a test function starts at its own point")
        if len(setup.players) > 1:
            raise Skipped("several players: no loss at the start is expected")
        player = setup.players[0]
        seen = look(setup)
        found = [*_loss(setup, seen.loss)]
        if player.needs.gradients:
            found += [*_equal_units(player.module, seen), *_gradients(seen)]
        found += [*_activations(seen)]
        if any(each.status != "pass" for each in found) and not setup.config.weights.path:
            found = [*found, *_other_inits(setup, seen.loss)]
        bad = [each for each in found if each.status != "pass"]
        if not bad:
            scales = [layer.std for layer in seen.layers if layer.std > 0]
            spread = (
                f"; outputs of {len(scales)} layers have deviations from {min(scales):.2g} "
                if (scales)
                else ""
            )
            spread += f"to {max(scales):.2g}" if scales else ""
            what = (
                "; ".join(each.what for each in found)
                or f"the loss at the start is {seen.loss:.4g}"
            )
            yield passed(what + spread, loss=seen.loss)
        else:
            yield from bad
            yield from (each for each in found if each.what.startswith("another init"))
        if setup.out is not None:
            _draw(setup, seen)


@dataclass(frozen=True)
class Layer:
    """What one layer gives for a batch.

    Attributes:
        std: of all its outputs.
        dead: part of the units that are 0 for every example, of a rectifier.
        saturated: part of the outputs of a tanh or sigmoid that are at its ends.
        gradient: mean absolute value of its weights' gradient; None without weights.
        norms: whether it brings what comes to a scale of its own.
    """

    name: str
    kind: str
    std: float
    dead: float = 0.0
    saturated: float = 0.0
    gradient: float | None = None
    norms: bool = False


@dataclass(frozen=True)
class Seen:
    """One batch through a model, and its gradients by parameter."""

    loss: float
    layers: Sequence[Layer]
    gradients: dict[str, Tensor]


def look(setup: Setup, modules: dict[str, nn.Module] | None = None) -> Seen:
    """Return what a batch is on its way through the model."""
    player = setup.players[0]
    modules = modules or setup.modules
    module = modules[player.name]
    outputs: dict[str, tuple[nn.Module, Tensor]] = {}
    hooks = []

    def keep(name: str, each: nn.Module) -> None:
        def hook(_: nn.Module, __: object, output: object) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if isinstance(first, Tensor) and first.is_floating_point():
                outputs[name] = (each, first.detach())

        hooks.append(each.register_forward_hook(hook))

    for name, each in module.named_modules():
        if name and not [*each.children()]:
            keep(name, each)
    state = setup.experiment.state
    try:
        with setup.looking(), state.precision.forward():
            loss = state.task.loss(modules, setup.batch(setup.few), player.name)
            named = {n: p for n, p in module.named_parameters() if p.requires_grad}
            slopes: Sequence[Tensor | None] = [None] * len(named)
            if player.needs.gradients and loss.requires_grad:
                slopes = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    finally:
        for hook in hooks:
            hook.remove()
    gradients = {n: g.detach() for n, g in zip(named, slopes, strict=True) if g is not None}
    layers = [_layer(name, each, out, gradients) for name, (each, out) in outputs.items()]
    return Seen(float(loss.detach()), layers, gradients)


def _layer(name: str, module: nn.Module, out: Tensor, gradients: dict[str, Tensor]) -> Layer:
    out = out.float()
    dead = saturated = 0.0
    kind = type(module).__name__
    if isinstance(module, nn.ReLU) and out.ndim > 1:
        per_unit = out.transpose(0, 1).flatten(1) if out.ndim != 3 else out.flatten(0, 1).t()
        dead = float((per_unit == 0).all(dim=1).float().mean())
    if isinstance(module, nn.Tanh):
        saturated = float((out.abs() > 0.99).float().mean())
    if isinstance(module, nn.Sigmoid):
        saturated = float(((out - 0.5).abs() > 0.495).float().mean())
    weight = gradients.get(f"{name}.weight")
    size = float(weight.float().abs().mean()) if weight is not None else None
    std = float(out.std()) if out.numel() > 1 else 0.0
    return Layer(name, kind, std, dead, saturated, size, isinstance(module, NORMS))


def expected(setup: Setup) -> tuple[float, str] | None:
    """Return the loss of a model that knows nothing, and what it is; None where nobody knows."""
    from optbench.tasks.classification import Classification
    from optbench.tasks.language import Language
    from optbench.tasks.regression import Regression

    task = setup.task
    classes = setup.dataset.num_classes
    if isinstance(task, Classification) and task.chosen is None and classes > 1:
        return math.log(classes), f"ln {classes}"
    if isinstance(task, Language) and classes > 1:
        return math.log(classes), f"ln {classes}"
    if isinstance(task, Regression) and task.chosen is None:
        batch = setup.batch(max(setup.few, 2))
        _, targets = pair(batch.batch if isinstance(batch, Lanes) else batch)
        if targets is not None and len(targets) > 1:
            return float(targets.double().square().mean()), "the targets' mean square"
    return None


def _loss(setup: Setup, loss: float) -> Iterator[Finding]:
    known = expected(setup)
    if not math.isfinite(loss):
        yield failed("the loss at the start is not finite", remedy="model.init=xavier")
        return
    if known is None or known[0] <= 0:
        return
    ratio, what = (
        loss / known[0],
        f"the loss at the start is {loss:.3g}; {known[1]} is {known[0]:.3g}",
    )
    from optbench.tasks.regression import Regression

    numbers = isinstance(setup.task, Regression)
    cause = "outputs that are too large"
    remedy = "model.init=xavier"
    if numbers:
        cause, remedy = "targets far from 0, or of another scale", "standardise the targets"
    if ratio > LOSS_FAIL * (REGRESSION if numbers else 1):
        yield failed(what, cause=cause, remedy=remedy, loss=loss)
    elif ratio > LOSS_WARN * (4 if numbers else 1):
        yield warned(what, cause=cause, remedy=remedy, loss=loss)
    elif ratio < 0.3:
        cause = "a leak, a loss that counts less than the examples, or weights that were trained"
        yield warned(f"{what}: better than knowing nothing", cause=cause, loss=loss)
    else:
        yield passed(what, loss=loss)


def _equal_units(module: nn.Module, seen: Seen) -> Iterator[Finding]:
    """Tell of units that have the same weights and the same gradients, and so stay one."""
    same: list[str] = []
    zero: list[str] = []
    embeddings = {f"{n}.weight" for n, m in module.named_modules() if isinstance(m, nn.Embedding)}
    for name, parameter in module.named_parameters():
        gradient = seen.gradients.get(name)
        if gradient is None or parameter.ndim < 2 or parameter.shape[0] < 2 or name in embeddings:
            continue
        rows, slopes = parameter.detach().flatten(1), gradient.flatten(1)
        if not bool((rows == rows[0]).all()):
            continue
        apart = float((slopes - slopes[0]).abs().max())
        if apart <= 1e-6 * float(slopes.abs().max()):
            (zero if not bool(rows.any()) else same).append(name)
    names = first_few([*zero, *same])
    if not names:
        return
    kind = "zero" if zero and not same else "constant"
    yield failed(
        f"symmetric units: {kind} init makes the units of {names} one",
        "their weights are equal, and so are their gradients",
        f"weights that begin at {'0' if kind == 'zero' else 'one value'}",
        "model.init=kaiming",
        layers=float(len(zero) + len(same)),
    )


def _gradients(seen: Seen) -> Iterator[Finding]:
    sizes = [(each.name, each.gradient) for each in seen.layers if each.gradient is not None]
    weak = [name for name, size in sizes if size is not None and 0 < size < VANISHED]
    none = [name for name, size in sizes if size == 0]
    if none and len(none) < len(sizes):
        yield warned(
            f"the gradient is 0 in {first_few(none)}",
            f"{len(none)} of {len(sizes)} layers",
            "dead units, or a layer behind that starts at 0",
            "model.init=kaiming",
        )
    if weak:
        yield warned(
            f"vanishing gradients in {first_few(weak)}",
            f"mean absolute values from {min(s for _, s in sizes if s):.2g}",
            "saturated units, or weights that are too small",
            "model.init=xavier",
        )


def _activations(seen: Seen) -> Iterator[Finding]:
    dead = [each for each in seen.layers if each.dead > DEAD]
    if dead:
        yield warned(
            f"dead units: {dead[0].dead:.0%} of {dead[0].name} give 0 for every example",
            f"{len(dead)} layers",
            "inputs or biases far below 0",
            "model.init=kaiming",
        )
    full = [each for each in seen.layers if each.saturated > SATURATED]
    if full:
        yield warned(
            f"saturated units: {full[0].saturated:.0%} of {full[0].name}",
            f"{len(full)} layers",
            "inputs or weights that are too large",
            "model.init=xavier",
        )
    layers = [e for e in seen.layers if e.gradient is not None and e.std > 0 and not e.norms]
    if len(layers) > 1:
        scales = [each.std for each in layers]
        if max(scales) > SPREAD * min(scales):
            small, large = min(layers, key=lambda e: e.std), max(layers, key=lambda e: e.std)
            yield warned(
                f"the scale of activations goes from {small.std:.2g} ({small.name}) to "
                f"{large.std:.2g} ({large.name})",
                cause="an init whose variance does not fit the layers' width",
                remedy="model.init=kaiming",
            )


def _other_inits(setup: Setup, loss: float) -> Iterator[Finding]:
    """Say what the loss, and the scale of the activations, would be with another init."""
    said = []
    for name in OTHERS:
        if name == setup.config.model.get("init") or "init" not in setup.config.model:
            continue
        other = setup.build(model={**setup.config.model, "init": name})
        modules = {player.name: player.module for player in other.state.players}
        seen = look(setup, modules)
        scales = [each.std for each in seen.layers if each.gradient is not None and each.std > 0]
        scale = f", deviations {min(scales):.2g} to {max(scales):.2g}" if scales else ""
        said.append(f"{name} {seen.loss:.3g}{scale}")
    if said:
        yield passed(f"another init would begin at: {'; '.join(said)}")


def _draw(setup: Setup, seen: Seen) -> None:
    from optbench.plots.png import save

    assert setup.out is not None
    numbers = list(range(1, len(seen.layers) + 1))
    scales = {"outputs": (numbers, [each.std for each in seen.layers])}
    title = f"{setup.config.name}: scale by layer at the start"
    weighted = [(n, e.gradient) for n, e in zip(numbers, seen.layers, strict=True) if e.gradient]
    if weighted:
        scales["gradients of weights"] = ([n for n, _ in weighted], [float(g) for _, g in weighted])
    save(
        setup.out / "activations.png",
        scales,
        title=title,
        x_label="layer",
        y_label="standard deviation; mean |gradient|",
        log_y=True,
    )
