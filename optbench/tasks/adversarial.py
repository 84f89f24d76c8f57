"""Adversarial training: a discriminator and a generator, each with its own loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from optbench.tasks.base import Modules, Shown, Task
from optbench.tasks.grid import grid
from optbench.tasks.pixels import Pixels
from optbench.tasks.sliced_wasserstein import directions, project, sliced_wasserstein

SAMPLES = 64
MADE_AT_ONCE = 500

ImageBatch = tuple[Tensor, ...]


class Adversarial(Task):
    """A generative adversarial network (Goodfellow et al. 2014) of two players.

    A batch is `(images, ...)`: float `[n, C, H, W]`, as normalised by the data set. `generator`
    maps noise `[n, latent]`, whose length is its attribute `latent`, to images of pixels from 0 to
    1; `discriminator` maps batches of such to logits `[n]` of each being real. As many images are
    made as there are real ones, from noise of N(0, 1) out of torch's global generator. Losses:

        discriminator   -log D(x) - log(1 - D(G(z)))
        generator       -log D(G(z)), the one that does not saturate

    Scores: `sliced_wasserstein` between the set's images and as many made from a noise that never
    changes, in units of pixels along a random unit vector; the parts `real_accuracy` and
    `fake_accuracy` of those and of these which the discriminator takes for what they are.

    Args:
        label_smoothing: the label of real images is 1 less this, that of made ones stays 0
            (Salimans et al. 2016, section 3.4).
        mean, std: the data set's.

    Raises:
        ValueError: without mean and std.
    """

    metrics = ("sliced_wasserstein", "real_accuracy", "fake_accuracy")
    metric = "val/sliced_wasserstein"
    mode = "min"

    def __init__(
        self,
        label_smoothing: float = 0.0,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> None:
        self._real = 1 - label_smoothing
        self._pixels = Pixels(mean, std)
        self._directions: Tensor | None = None

    def loss(self, modules: Modules, batch: ImageBatch, player: str) -> Tensor:
        """Return the player's loss, a mean over images; no criterion of one model's outputs."""
        images = self._pixels(batch[0])
        generator, discriminator = modules["generator"], modules["discriminator"]
        noise = torch.randn(len(images), latent_of(generator), device=images.device)
        if player == "generator":
            (logits,) = discriminator(generator(noise))
            return softplus(-logits.float()).mean()
        with torch.no_grad():
            made = generator(noise)
        real, fake = (logits.float() for logits in discriminator(images, made.to(images.dtype)))
        smooth = torch.full_like(real, self._real)
        return binary_cross_entropy_with_logits(real, smooth) + softplus(fake).mean()

    def score(self, modules: Modules, batch: ImageBatch) -> dict[str, Tensor]:
        """Return how many real images are taken for real; the other scores come from whole sets."""
        (logits,) = modules["discriminator"](self._pixels(batch[0]))
        return {"real_accuracy": (logits > 0).sum()}

    def collect(self, modules: Modules, batch: ImageBatch) -> Tensor:
        """Return the images along the fixed directions, [n, DIRECTIONS] in float32."""
        images = self._pixels(batch[0])
        return project(images, self._along(images))

    def whole(self, modules: Modules, rows: Tensor) -> dict[str, float]:
        """Make an image for each row, and hold them against the real ones."""
        made, taken = [], 0.0
        for noise in self._fixed_noise(modules, len(rows), rows.device).split(MADE_AT_ONCE):
            images = modules["generator"](noise)
            made.append(project(images, self._along(images)))
            taken += float((modules["discriminator"](images)[0] <= 0).sum())
        return {
            "sliced_wasserstein": sliced_wasserstein(rows, torch.cat(made)),
            "fake_accuracy": taken / len(rows),
        }

    def show(self, modules: Modules, batch: ImageBatch) -> Shown:
        """Return images from the same noise each time."""
        noise = self._fixed_noise(modules, SAMPLES, batch[0].device)
        return Shown(images={"samples": grid(modules["generator"](noise))})

    def _fixed_noise(self, modules: Modules, count: int, device: torch.device) -> Tensor:
        latent = latent_of(modules["generator"])
        own = torch.Generator().manual_seed(0)
        return torch.randn(count, latent, generator=own).to(device)

    def _along(self, images: Tensor) -> Tensor:
        size = images[0].numel()
        known = self._directions
        if known is None or known.shape[0] != size or known.device != images.device:
            self._directions = known = directions(size).to(images.device)
        return known


def latent_of(generator: Any) -> int:
    """Return the length of a generator's noise; DistributedDataParallel may be around it."""
    return int(getattr(generator, "module", generator).latent)
