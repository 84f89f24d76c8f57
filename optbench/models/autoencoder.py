"""The deep autoencoder on which second-order methods are compared.

Sources: Hinton, Salakhutdinov, "Reducing the Dimensionality of Data with Neural Networks",
Science 2006 (the network); Martens, "Deep learning via Hessian-free optimization", ICML 2010
(trained without pretraining, from a sparse initialisation); Sutskever, Martens, Dahl, Hinton,
"On the importance of initialization and momentum in deep learning", ICML 2013 (by momentum).
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from optbench.models.arguments import unknown_name
from optbench.models.mlp import ACTIVATIONS


class Autoencoder(nn.Module):
    """Images to a small code and back: inputs [N, *input_shape] to logits of the same shape.

    The encoder's layers are `hidden`, the decoder's the same in reverse; the weights are not
    tied. The code is linear, every other hidden layer has the activation. With the defaults and
    28x28 images it is the papers' 784-1000-500-250-30 and its mirror: 2,837,314 parameters.

    Args:
        input_shape: shape of one example, of any number of dimensions.
        hidden: width of each of the encoder's hidden layers; may be empty.
        code: length of the code.
        activation: sigmoid (the papers'), or another that the MLP knows.
        sparse_init: every unit starts with so many incoming weights drawn from N(0, 1), the rest
            and all biases at 0 (Martens 2010, section 5); a layer with fewer inputs has that
            many. 0 leaves torch's own initialisation, from which sigmoid units of this depth
            hardly learn. A rule of `optbench.models.init.initialise` comes later and
            replaces it.

    Raises:
        ValueError: on a size below 1, a negative `sparse_init` or an unknown activation.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        hidden: Sequence[int] = (1000, 500, 250),
        code: int = 30,
        activation: str = "sigmoid",
        sparse_init: int = 15,
    ) -> None:
        super().__init__()
        check_widths("Autoencoder", hidden, code=code)
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        if sparse_init < 0:
            raise ValueError(f"Autoencoder: sparse_init={sparse_init} is below 0")
        size = math.prod(input_shape)
        self.input_shape = tuple(input_shape)
        self.encoder = dense_blocks([size, *hidden], activation)
        self.code = nn.Linear([size, *hidden][-1], code)
        self.decoder = dense_blocks([code, *reversed(hidden)], activation)
        self.head = nn.Linear([code, *reversed(hidden)][-1], size)
        if sparse_init:
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    draw_sparse(layer, sparse_init)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The hidden layers."""
        return [*self.encoder, *self.decoder]

    def forward(self, inputs: Tensor) -> Tensor:
        code = self.code(self.encoder(inputs.flatten(1)))
        logits: Tensor = self.head(self.decoder(code))
        images: Tensor = logits.unflatten(1, self.input_shape)
        return images


def dense_blocks(widths: Sequence[int], activation: str) -> nn.Sequential:
    """Return a linear layer and the activation between each two neighbours of `widths`."""
    return nn.Sequential(
        *(
            nn.Sequential(nn.Linear(fan_in, fan_out), ACTIVATIONS[activation]())
            for fan_in, fan_out in pairwise(widths)
        )
    )


def check_widths(model: str, hidden: Sequence[int], **sizes: int) -> None:
    """Raise ValueError unless all widths are at least 1; `sizes` are further ones by key."""
    if any(width < 1 for width in hidden):
        raise ValueError(f"{model}: hidden={list(hidden)} holds a width below 1")
    for key, value in sizes.items():
        if value < 1:
            raise ValueError(f"{model}: {key}={value} is below 1")


def draw_sparse(layer: nn.Linear, count: int) -> None:
    """Give every unit `count` incoming weights from N(0, 1); the others and the bias are 0.

    Which inputs those are is drawn for each unit by itself, from torch's global generator.
    """
    with torch.no_grad():
        weight = layer.weight
        chosen = torch.rand_like(weight).topk(min(count, weight.shape[1]), dim=1).indices
        drawn = torch.randn(chosen.shape, dtype=weight.dtype, device=weight.device)
        weight.zero_().scatter_(1, chosen, drawn)
        layer.bias.zero_()
