"""Reconstruction: a model that gives back the image which it is shown."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from optbench.errors import Argument, ArgumentError, Choice
from optbench.tasks.base import Modules, Shown, Task, Uniform
from optbench.tasks.drawn import coins, squared_error_of_drawn
from optbench.tasks.grid import pairs
from optbench.tasks.pixels import Pixels

LOSSES = ("cross_entropy", "squared_error")
SHOWN = 16

ImageBatch = tuple[Tensor, ...]


class Reconstruction(Task):
    """Pixels from 0 to 1 against a model's logits for them.

    A batch is `(images, ...)`: float `[n, ...]`, as normalised by the data set; whatever else it
    has is not looked at. The model gives logits of the same shape. All numbers are sums over an
    image's pixels and means over images, as in Hinton, Salakhutdinov 2006, Martens 2010 and
    Sutskever et al. 2013: those minimise the cross-entropy and report the squared error.

    Scores: `loss`, the one chosen; `squared_error`, sum over pixels of (sigmoid(logit) - pixel)^2.

    Args:
        loss: `cross_entropy` of each pixel as a probability, in nats, or `squared_error`.
        mean, std: the data set's.

    Raises:
        ValueError: on an unknown loss, or without mean and std.
    """

    metrics = ("loss", "squared_error")

    def __init__(
        self,
        loss: str = "cross_entropy",
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
    ) -> None:
        if loss not in LOSSES:
            raise ArgumentError(
                Argument("loss", loss), f" is not known; it is {' or '.join(LOSSES)}"
            )
        self._squared = loss == "squared_error"
        self._pixels = Pixels(mean, std)

    def predict(self, modules: Modules, batch: ImageBatch, player: str) -> Tensor:
        """Return a logit for each pixel."""
        logits: Tensor = modules[player](batch[0])
        return logits

    def criterion(self, outputs: Tensor, batch: ImageBatch) -> Tensor:
        """Return the mean over images of the loss that was chosen.

        Raises:
            ValueError: the model does not give an image.
        """
        pixels = self._pixels(batch[0])
        check_shape(outputs, pixels, "autoencoder")
        measure = squared_error if self._squared else cross_entropy
        return measure(outputs.float(), pixels) / len(pixels)

    @property
    def draws(self) -> bool:
        """Return True: each pixel is drawn by its logit."""
        return True

    def drawn_loss(self, outputs: Tensor, batch: ImageBatch, uniform: Uniform) -> Tensor:
        """Return the mean over images of the loss of pixels drawn by the logits."""
        logits = outputs.float()
        if self._squared:
            total = squared_error_of_drawn(logits.sigmoid(), uniform, "sum")
        else:
            total = cross_entropy(logits, coins(logits, uniform))
        return total / len(outputs)

    def score(self, modules: Modules, batch: ImageBatch) -> dict[str, Tensor]:
        """Return both scores, summed over images."""
        logits, pixels = modules["model"](batch[0]).float(), self._pixels(batch[0])
        squared = squared_error(logits, pixels)
        return {
            "loss": squared if self._squared else cross_entropy(logits, pixels),
            "squared_error": squared,
        }

    def show(self, modules: Modules, batch: ImageBatch) -> Shown | None:
        """Return the first images' reconstructions, each row above its originals."""
        images = batch[0][:SHOWN]
        if images.dim() != 4:
            return None
        made = modules["model"](images).float().sigmoid()
        return Shown(images={"reconstructions": pairs(made, self._pixels(images))})


def check_shape(logits: Tensor, images: Tensor, wanted: str) -> None:
    """Raise ValueError unless there is a logit for each pixel, as the model `wanted` gives."""
    if logits.shape != images.shape:
        raise ArgumentError(
            f"the model gives {list(logits.shape[1:])} for an image {list(images.shape[1:])}; ",
            "take ",
            Choice("model", wanted),
        )


def cross_entropy(logits: Tensor, pixels: Tensor) -> Tensor:
    """Return -[x log s(z) + (1 - x) log(1 - s(z))], summed over all pixels x and logits z."""
    return binary_cross_entropy_with_logits(logits, pixels, reduction="sum")


def squared_error(logits: Tensor, pixels: Tensor) -> Tensor:
    """Return (s(z) - x)^2, summed over everything."""
    return mse_loss(logits.sigmoid(), pixels, reduction="sum")
