"""A variational autoencoder of fully connected layers.

Source: Kingma, Welling, "Auto-Encoding Variational Bayes", ICLR 2014, appendix C: Gaussian
encoder, Bernoulli decoder. Their MNIST networks have one hidden layer of 500 tanh units; the
defaults here are those of the much copied example of PyTorch (400 ReLU units, 20 latents), whose
results are published.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from optbench.models.arguments import unknown_name
from optbench.models.autoencoder import check_widths, dense_blocks
from optbench.models.mlp import ACTIVATIONS


class VAE(nn.Module):
    """Inputs [N, *input_shape] to (logits [N, *input_shape], mean and log_var [N, latent]).

    The encoder gives a normal distribution of the code, N(mean, exp(log_var)); one code is drawn
    and decoded. The decoder's layers are the encoder's in reverse.

    Args:
        input_shape: shape of one example, of any number of dimensions.
        hidden: width of each of the encoder's hidden layers; may be empty.
        latent: length of the code.
        activation: relu, tanh, gelu, sigmoid or silu.

    Raises:
        ValueError: on a size below 1 or an unknown activation.
    """

    parallel = (("mean", "log_var"),)
    """For layer-wise learning rates: these are one layer."""

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        hidden: Sequence[int] = (400,),
        latent: int = 20,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        check_widths("VAE", hidden, latent=latent)
        if activation not in ACTIVATIONS:
            raise unknown_name("activation", activation, ACTIVATIONS)
        size = math.prod(input_shape)
        self.input_shape = tuple(input_shape)
        self.latent = latent
        self.encoder = dense_blocks([size, *hidden], activation)
        self.mean = nn.Linear([size, *hidden][-1], latent)
        self.log_var = nn.Linear([size, *hidden][-1], latent)
        self.decoder = dense_blocks([latent, *reversed(hidden)], activation)
        self.head = nn.Linear([latent, *reversed(hidden)][-1], size)

    @property
    def checkpoint_blocks(self) -> list[nn.Module]:
        """The hidden layers."""
        return [*self.encoder, *self.decoder]

    def forward(self, inputs: Tensor, noise: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """See the class. The code is `mean + noise * exp(log_var / 2)`.

        Without `noise` ([N, latent], from N(0, 1)) it is drawn from torch's global generator in
        training; in evaluation it then is 0, and the mean is decoded.
        """
        features = self.encoder(inputs.flatten(1))
        mean, log_var = self.mean(features), self.log_var(features)
        if noise is None:
            noise = torch.randn_like(mean) if self.training else torch.zeros_like(mean)
        logits = self.decode(mean + noise * torch.exp(log_var / 2))
        return logits, mean, log_var

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes [N, latent] to logits [N, *input_shape]."""
        logits: Tensor = self.head(self.decoder(codes))
        images: Tensor = logits.unflatten(1, self.input_shape)
        return images
