"""Initialisation of a whole model by one named rule."""

from collections.abc import Callable

from torch import Tensor, nn

from optbench.models.arguments import unknown_name
from optbench.torch_internals import ConvBase

WEIGHTED_LAYERS = (nn.Linear, ConvBase, nn.MultiheadAttention)


def initialise(module: nn.Module, name: str, *, std: float = 0.02, bias: float = 0.0) -> None:
    """Draw the weights of every linear, convolution and attention layer by the rule `name`.

    Normalisation layers and parameters held by other modules (positions, tokens, layer scales)
    stay as the model made them. Values come from torch's global generator.

    Args:
        module: the model; changed in place.
        name: the rule:
            `default` changes nothing: neither `std` nor `bias` has an effect;
            `kaiming` normal of variance 2 / fan_in (He et al. 2015);
            `xavier` variance 2 / (fan_in + fan_out) (Glorot, Bengio 2010), uniform for dense
            layers and normal for convolutions as in DeepOBS (Schneider et al. 2019);
            `orthogonal` (Saxe et al. 2014);
            `trunc_normal` normal of deviation `std` cut at two of these, and the only rule
            that draws `nn.Embedding` tables too;
            `zeros`.
        std: deviation of `trunc_normal` before the cut; the other rules ignore it.
        bias: constant for the biases of the layers drawn.

    Raises:
        ValueError: if `name` is unknown or `trunc_normal` gets an `std` that is not
            positive.
    """
    if name != "default" and name not in _RULES:
        raise unknown_name("name", name, INITIALISATIONS)
    if name == "default":
        return
    if name == "trunc_normal" and not std > 0:
        raise ValueError(f"std={std} is not positive, which {name} needs")
    layers = (*WEIGHTED_LAYERS, nn.Embedding) if name == "trunc_normal" else WEIGHTED_LAYERS
    for layer in module.modules():
        if isinstance(layer, layers):
            _fill(layer, _RULES[name], std, bias)


def _fill(
    layer: nn.Module, rule: Callable[[Tensor, float], Tensor], std: float, bias: float
) -> None:
    # Attention keeps its input projection as in_proj_weight and in_proj_bias.
    for name, parameter in layer.named_parameters(recurse=False):
        if name.endswith("weight"):
            rule(parameter, std)
        elif name in ("bias", "in_proj_bias"):
            nn.init.constant_(parameter, bias)


def _kaiming(weight: Tensor, _std: float) -> Tensor:
    return nn.init.kaiming_normal_(weight, mode="fan_in", nonlinearity="relu")


def _xavier(weight: Tensor, _std: float) -> Tensor:
    is_dense = weight.dim() == 2
    return nn.init.xavier_uniform_(weight) if is_dense else nn.init.xavier_normal_(weight)


def _orthogonal(weight: Tensor, _std: float) -> Tensor:
    return nn.init.orthogonal_(weight)


def _trunc_normal(weight: Tensor, std: float) -> Tensor:
    return nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def _zeros(weight: Tensor, _std: float) -> Tensor:
    return nn.init.zeros_(weight)


_RULES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "kaiming": _kaiming,
    "xavier": _xavier,
    "orthogonal": _orthogonal,
    "trunc_normal": _trunc_normal,
    "zeros": _zeros,
}
INITIALISATIONS = ("default", *_RULES)
