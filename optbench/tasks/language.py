"""Language modelling: which token comes next."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.nn.functional import cross_entropy

from optbench.errors import ArgumentError, Choice
from optbench.tasks.base import Lanes, Modules, Shown, Task, Uniform
from optbench.tasks.carried import CarriedState
from optbench.tasks.drawn import classes
from optbench.tasks.examples import tokens_wanted
from optbench.tasks.sampling import sample
from optbench.tasks.sequences import last_outputs

SAMPLE_LENGTH = 300

Windows = tuple[Tensor, Tensor]


class Language(Task):
    """Cross-entropy of the next token at every place, in nats a token.

    A batch is (inputs, targets), int64 [n, T]. Scored by `loss`, `perplexity`, exp(loss), and
    `bits_per_character`, loss / ln 2: bits a token, which is a byte where the text is read by
    bytes. Shows a sample of text where the data set has a vocabulary.

    Args:
        input_shape: (T,), the tokens of an example.
        vocabulary: what each token stands for; None shows no text.
        label_smoothing: in training only.
        carry: a recurrent model begins each window in the state in which the one before it ended
            (truncated backpropagation through time), in training; scores begin at zeros.

    Raises:
        ValueError: the examples are not sequences of tokens.
    """

    metrics = ("loss", "perplexity", "bits_per_character")

    def __init__(
        self,
        input_shape: Sequence[int],
        vocabulary: Sequence[str] | None = None,
        label_smoothing: float = 0.0,
        carry: bool = False,
    ) -> None:
        if len(input_shape) != 1:
            raise ArgumentError(
                f"language: examples of shape {tuple(input_shape)} are not sequences of tokens; ",
                "take ",
                Choice("dataset", "tiny_shakespeare"),
                " or ",
                Choice("dataset", "text"),
            )
        self.tokens = input_shape[0]
        self.vocabulary = vocabulary
        self.label_smoothing = label_smoothing
        self.carries = carry
        self._carried = CarriedState()

    def predict(self, modules: Modules, batch: Windows | Lanes, player: str) -> Tensor:
        """Return logits [n, T, vocabulary]; keep the state in which lanes end."""
        if not isinstance(batch, Lanes):
            inputs, targets = batch
            return last_outputs(modules[player], inputs, targets.shape[1])
        logits: Tensor
        logits, state = modules[player](batch.batch[0], self._carried.of(batch))
        self._carried.keep(batch, state)
        return logits

    def criterion(self, outputs: Tensor, batch: Windows | Lanes) -> Tensor:
        """Return the mean cross-entropy over all tokens of the batch."""
        _, targets = batch.batch if isinstance(batch, Lanes) else batch
        logits, smoothing = outputs.flatten(0, 1), self.label_smoothing
        return cross_entropy(logits, targets.flatten(), label_smoothing=smoothing)

    @property
    def draws(self) -> bool:
        """Return True: each token is drawn by its logits."""
        return True

    def drawn_loss(self, outputs: Tensor, batch: Windows | Lanes, uniform: Uniform) -> Tensor:
        """Return the mean cross-entropy of tokens drawn by the logits."""
        return cross_entropy(outputs.flatten(0, 1), classes(outputs, uniform).flatten())

    def terms(self, batch: Windows | Lanes) -> int:
        """Return the number of tokens."""
        _, targets = batch.batch if isinstance(batch, Lanes) else batch
        return targets.numel()

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """Carry no state on in the block."""
        with self._carried.untouched():
            yield

    def state_dict(self) -> dict[str, Any]:
        """Return the carried state, if one is."""
        return self._carried.state_dict() if self.carries else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`."""
        if self.carries and state:
            self._carried.load_state_dict(state)

    def wanted(self, batch: Windows) -> str | None:
        """Return what an example has to be where it is no window of tokens."""
        return tokens_wanted(batch, "the tokens that come next")

    def score(self, modules: Modules, batch: Windows) -> dict[str, Tensor]:
        """Return the mean loss of each example's tokens, summed."""
        inputs, targets = batch
        logits = last_outputs(modules["model"], inputs, targets.shape[1]).float()
        total = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        return {"loss": total / targets.shape[1]}

    def derive(self, scores: dict[str, float]) -> dict[str, float]:
        """Add perplexity and bits; an overflowing perplexity is infinite."""
        loss = scores["loss"]
        try:
            perplexity = math.exp(loss)
        except OverflowError:
            perplexity = math.inf
        bits = loss / math.log(2)
        return {**scores, "perplexity": perplexity, "bits_per_character": bits}

    def show(self, modules: Modules, batch: Windows) -> Shown | None:
        """Return 300 tokens drawn after the validation set's first, always with the same draws."""
        if self.vocabulary is None:
            return None
        first = int(batch[0][0, 0])
        ids = sample(modules["model"], first, SAMPLE_LENGTH, self.tokens, batch[0].device)
        return Shown(texts={"sample": "".join(self.vocabulary[i] for i in ids)})
