"""Models, data sets and optimizers with a fault each, found by `_target_`; FAULTS says which."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from optbench.tasks.classification import Classification

PIXELS, CLASSES = 64, 10


def digits(train: bool) -> tuple[Tensor, Tensor]:
    """scikit-learn's digits, standardised, in an order of their own."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    chosen = order[:1400] if train else order[1400:]
    pixels = (images[chosen] / 16 - 0.3051) / 0.3759
    inputs = torch.tensor(pixels, dtype=torch.float32).view(-1, 1, 8, 8)
    return inputs, torch.tensor(labels[chosen])


class Digits(Dataset[Any]):
    """The data set that every fault changes in one way."""

    def __init__(self, train: bool = True) -> None:
        self.train = train
        self.x, self.targets = digits(train)
        self.classes = list(range(CLASSES))
        self.spoil()

    def spoil(self) -> None:
        """Plant the fault."""

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Any:
        return self.x[index], self.targets[index]


class Unnormalised(Digits):
    def spoil(self) -> None:
        self.x = (self.x * 0.3759 + 0.3051) * 255


class Unreadable(Digits):
    def __getitem__(self, index: int) -> Any:
        if self.train and index == 57:
            raise KeyError("no file of it")
        return super().__getitem__(index)


class OfAnotherShape(Digits):
    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        return (image[:, :4] if self.train and index == 57 else image), label


class Shuffled(Digits):
    def spoil(self) -> None:
        self.targets = self.targets[torch.randperm(len(self.targets))]


class ShuffledInTraining(Digits):
    def spoil(self) -> None:
        if self.train:
            self.targets = self.targets[torch.randperm(len(self.targets))]


class OtherOrder(Digits):
    """Classes of the test set in another order."""

    def spoil(self) -> None:
        if not self.train:
            self.targets = (self.targets + 3) % CLASSES


class Swapped(Digits):
    def __getitem__(self, index: int) -> Any:
        return self.targets[index], self.x[index]


class Leaking(Digits):
    """A third of the test images are training images too."""

    def spoil(self) -> None:
        if self.train:
            inputs, targets = digits(train=False)
            self.x = torch.cat([self.x, inputs[:130]])
            self.targets = torch.cat([self.targets, targets[:130]])


class OneMissing(Digits):
    def spoil(self) -> None:
        if self.train:
            there = self.targets != 3
            self.x, self.targets = self.x[there], self.targets[there]


class Turned(Digits):
    """Half of the training images upside down: a 6 is a 9 then."""

    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        if self.train and torch.rand(()) < 0.5:
            image = image.flip(1, 2)
        return image, label


class Relabelled(Digits):
    """Augmentation that draws another label now and then."""

    def __getitem__(self, index: int) -> Any:
        image, label = super().__getitem__(index)
        if self.train and torch.rand(()) < 0.2:
            label = torch.randint(CLASSES, ())
        return image, label


class Disagreeing(Digits):
    """A fifth of the examples twice, with two labels."""

    def spoil(self) -> None:
        if self.train:
            self.x = torch.cat([self.x, self.x[:280]])
            self.targets = torch.cat([self.targets, (self.targets[:280] + 1) % CLASSES])


class Missing(Digits):
    """A few numbers that are none."""

    def spoil(self) -> None:
        self.x[5, 0, 2, 2] = float("nan")


class Bytes(Digits):
    """Pixels as they are in files."""

    def spoil(self) -> None:
        self.x = ((self.x * 0.3759 + 0.3051).clamp(0, 1) * 255).to(torch.uint8)


class Narrow(Digits):
    """Labels that were int8 once: those beyond 127 are negative."""

    def spoil(self) -> None:
        many = torch.arange(len(self.targets)) % 200
        self.targets = torch.where(torch.arange(len(many)) < 40, 0, many).to(torch.int8).long()
        self.classes = list(range(200))


class Sorted(Digits):
    def spoil(self) -> None:
        order = self.targets.argsort()
        self.x, self.targets = self.x[order], self.targets[order]


class Net(nn.Module):
    """A small model that every fault changes in one way."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Linear(PIXELS, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, CLASSES)
        self.spoil()

    def spoil(self) -> None:
        """Plant the fault."""

    def begin(self, x: Tensor) -> Tensor:
        return x.flatten(1)

    def middle(self, hidden: Tensor) -> Tensor:
        return hidden

    def end(self, logits: Tensor) -> Tensor:
        return logits

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.middle(self.first(self.begin(x)).relu())
        return self.end(self.last(self.second(hidden).relu()))


class _Doubled(torch.autograd.Function):
    """tanh, whose backward forgets the square."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (y,) = ctx.saved_tensors
        return gradients[0] * (1 - y)


class WrongBackward(Net):
    def middle(self, hidden: Tensor) -> Tensor:
        return _Doubled.apply(hidden)  # type: ignore[no-any-return]


class Detached(Net):
    def middle(self, hidden: Tensor) -> Tensor:
        return hidden.detach()


class WithoutSlope(Net):
    """A finite loss with gradients that are not, whatever the learning rate: a root of 0."""

    def end(self, logits: Tensor) -> Tensor:
        return logits + (0.0 * logits).abs().sqrt()


class Constant(Net):
    def spoil(self) -> None:
        for parameter in self.parameters():
            nn.init.constant_(parameter, 0.05)


class AlwaysDropping(Net):
    def middle(self, hidden: Tensor) -> Tensor:
        return functional.dropout(hidden, 0.5)


class Softmax(Net):
    def end(self, logits: Tensor) -> Tensor:
        return logits.softmax(1)


class InAList(Net):
    """A layer that nobody registers."""

    def spoil(self) -> None:
        self.others = [nn.Linear(32, 32)]

    def middle(self, hidden: Tensor) -> Tensor:
        return self.others[0](hidden).relu()  # type: ignore[no-any-return]


class Uncalled(Net):
    def spoil(self) -> None:
        self.unused = nn.Linear(4, 4)


class Frozen(Net):
    def spoil(self) -> None:
        self.first.requires_grad_(False)


class Wrapping(Net):
    """Subtracts from bytes as bytes."""

    def begin(self, x: Tensor) -> Tensor:
        return (x - 78).flatten(1).float() / 80


class Normed(Net):
    def spoil(self) -> None:
        self.norm = nn.BatchNorm1d(32)

    def middle(self, hidden: Tensor) -> Tensor:
        return self.norm(hidden)  # type: ignore[no-any-return]


class NormFrozen(Normed):
    def train(self, mode: bool = True) -> NormFrozen:
        super().train(mode)
        self.norm.eval()
        return self


class NormStill(Normed):
    def spoil(self) -> None:
        self.norm = nn.BatchNorm1d(32, momentum=0.0)


class NeverEvaluating(Normed):
    def train(self, mode: bool = True) -> NeverEvaluating:
        return super().train(True)


class Summed(Classification):
    """Cross-entropy, summed over the batch."""

    def criterion(self, outputs: Tensor, batch: Any) -> Tensor:
        return functional.cross_entropy(outputs, batch[1], reduction="sum")


class Forgetful(torch.optim.SGD):
    """Drops what it was given last."""

    def __init__(self, params: Any, lr: float) -> None:
        groups = [dict(group) for group in params]
        groups[-1]["params"] = list(groups[-1]["params"])[:-1]
        groups[-1].pop("param_names", None)
        super().__init__(groups, lr=lr)


class Clocked(Net):
    """Draws from nowhere that a seed rules."""

    def middle(self, hidden: Tensor) -> Tensor:
        noise = torch.randn(hidden.shape, generator=torch.Generator().manual_seed(_ticks()))
        return hidden + 0.1 * noise


_TICKS = [0]


def _ticks() -> int:
    _TICKS[0] += 1
    return _TICKS[0]


class WithoutPublicInputs(Dataset[Any]):
    """Examples that are mappings."""

    def __len__(self) -> int:
        return 100

    def __getitem__(self, index: int) -> Any:
        return {"x": torch.ones(3), "y": index % 2}
