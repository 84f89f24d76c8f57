"""Variational autoencoding: the evidence lower bound."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from optbench.errors import Argument, ArgumentError, Choice
from optbench.tasks.base import Modules, Outputs, Shown, Task
from optbench.tasks.grid import grid, pairs
from optbench.tasks.pixels import Pixels
from optbench.tasks.reconstruction import SHOWN, ImageBatch, cross_entropy

SAMPLES = 64
NOISES = 4093
"""Rows in the table from which scoring takes its noise; a prime."""


class VariationalAutoencoder(Task):
    """The negative evidence lower bound of a batch's images (Kingma, Welling 2014, equation 10).

    A batch is `(images, ...)`: float `[n, C, H, W]`, as normalised by the data set. The model gives
    `(logits, mean, log_var)` for images and, if given, noise. With one code z drawn from
    N(mean, exp(log_var)) for each image:

        loss = reconstruction + kl
        reconstruction = -sum over pixels of log p(x | z), x from 0 to 1 taken as a probability
        kl = 1/2 sum over the code of (exp(log_var) + mean^2 - 1 - log_var)

    all in nats an image. Training draws from torch's global generator. Scoring takes an image's
    noise from a fixed table, at a row that follows from its pixels alone: it is the same in every
    evaluation, whatever the size of batches and the number of ranks.

    Args:
        beta: weight of `kl` in training (Higgins et al. 2017); scores are of the bound itself.
        mean, std: the data set's.

    Raises:
        ValueError: on a negative beta, or without mean and std.
    """

    metrics = ("loss", "reconstruction", "kl")

    def __init__(
        self,
        beta: float = 1.0,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> None:
        if beta < 0:
            raise ArgumentError(Argument("beta", beta), " is below 0")
        self._beta = beta
        self._pixels = Pixels(mean, std)

    def predict(self, modules: Modules, batch: ImageBatch, player: str) -> Outputs:
        """Return `(logits, mean, log_var)`, of one code drawn for each image."""
        return modules[player](batch[0])

    def criterion(self, outputs: Outputs, batch: ImageBatch) -> Tensor:
        """Return the mean over images of `reconstruction + beta * kl`, convex in each output.

        Raises:
            ValueError: the model gives something else than such a triple.
        """
        if not isinstance(outputs, tuple):
            what = "the model gives one tensor, not logits, mean and log_var; take "
            raise ArgumentError(what, Choice("model", "vae"))
        logits, mean, log_var = outputs
        reconstruction = cross_entropy(logits.float(), self._pixels(batch[0]))
        return (reconstruction + self._beta * kl_from_normal(mean, log_var)) / len(batch[0])

    def score(self, modules: Modules, batch: ImageBatch) -> dict[str, Tensor]:
        """Return the parts of the bound, summed over images."""
        images, model = batch[0], modules["model"]
        logits, mean, log_var = model(images, fixed_noise(images, latent_of(model)))
        reconstruction = cross_entropy(logits.float(), self._pixels(images))
        kl = kl_from_normal(mean, log_var)
        return {"loss": reconstruction + kl, "reconstruction": reconstruction, "kl": kl}

    def show(self, modules: Modules, batch: ImageBatch) -> Shown:
        """Return decoded means above their originals, and images decoded from prior samples."""
        model, images = modules["model"], batch[0][:SHOWN]
        latent = latent_of(model)
        made = model(images, images.new_zeros(len(images), latent))[0].float().sigmoid()
        prior = model.decode(table(SAMPLES, latent).to(images.device))  # type: ignore[attr-defined]
        return Shown(
            images={
                "reconstructions": pairs(made, self._pixels(images)),
                "samples": grid(prior.float().sigmoid()),
            }
        )


def kl_from_normal(mean: Tensor, log_var: Tensor) -> Tensor:
    """Return KL(N(mean, exp(log_var)) || N(0, 1)), summed over everything."""
    mean, log_var = mean.float(), log_var.float()
    return (log_var.exp() + mean.square() - 1 - log_var).sum() / 2


def latent_of(model: object) -> int:
    """Return the length of a model's code."""
    return int(model.latent)  # type: ignore[attr-defined]


def table(rows: int, width: int) -> Tensor:
    """Return [rows, width] from N(0, 1), always the same; leave torch's global generator alone."""
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(0))


def fixed_noise(images: Tensor, width: int) -> Tensor:
    """Return [n, width]: for each image a row of the table, by the sum of its pixels' bits."""
    bits = images.float().contiguous().flatten(1).view(torch.int32)
    rows = bits.sum(1, dtype=torch.int64) % NOISES
    return table(NOISES, width).to(images.device)[rows]
