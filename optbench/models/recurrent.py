"""Recurrent networks: plain tanh or ReLU, LSTM, GRU.

Sources: Elman, "Finding Structure in Time", 1990; Hochreiter, Schmidhuber, "Long Short-Term
Memory", 1997, with the forget gate of Gers, Schmidhuber, Cummins, 2000; Cho et al., "Learning
Phrase Representations using RNN Encoder-Decoder", 2014. Dropout is on what is not recurrent, as in
Zaremba, Sutskever, Vinyals, "Recurrent Neural Network Regularization", 2014.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from optbench.models.arguments import check_dropout, unknown_name
from optbench.models.sequence_arguments import check_sizes
from optbench.torch_internals import onednn_enabled, onednn_has_bf16, set_onednn_enabled

RECURRENT_INITS: dict[str, Callable[[Tensor], Tensor]] = {
    "default": lambda weight: weight,
    "orthogonal": nn.init.orthogonal_,
    "identity": nn.init.eye_,
}
NONLINEARITIES = ("tanh", "relu")

State = Any
"""The hidden state after a sequence, to go on from: a tensor, or two of an LSTM."""


@contextmanager
def _kernels(inputs: Tensor) -> Iterator[None]:
    """Use torch's own kernels in the block for bf16 on a CPU without it.

    oneDNN's have no LSTM there and raise.
    """
    narrow = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    before = onednn_enabled()
    off = inputs.device.type == "cpu" and narrow
    if not off or onednn_has_bf16():
        yield
        return
    set_onednn_enabled(False)
    try:
        yield
    finally:
        set_onednn_enabled(before)


class Recurrent(nn.Module):
    """Inputs to (outputs [N, T, num_classes], state): an output at every place.

    Inputs are tokens, int64 [N, T], which get an embedding, or numbers, float [N, T, F]. Without a
    state a sequence begins at zeros. Weights start as in torch, uniform in +- 1 / sqrt(width),
    those of the embedding normal; see `recurrent_init`.

    Args:
        model: name, for errors.
        cell: torch's class of the recurrent layers.
        input_shape: (T,) of tokens or (T, F) of numbers; any other T does too.
        num_classes: outputs at a place; of tokens, also the size of the vocabulary.
        width: hidden units of a layer.
        layers: recurrent layers, one on the other.
        embedding: length of a token's vector; None is `width`. Numbers have none.
        dropout: probability used on the embedding and after each recurrent layer.
        recurrent_init: how the weights from a hidden state to the next start, each gate's by
            itself: `default`, `orthogonal` (Saxe et al. 2014) or `identity` (Le et al. 2015).
        others: further arguments of the cell.

    Raises:
        ValueError: on an unknown `recurrent_init`, a size below 1, a dropout outside [0, 1), or
            an `input_shape` that is neither (T,) nor (T, F).
    """

    def __init__(
        self,
        model: str,
        cell: Callable[..., nn.RNNBase],
        input_shape: Sequence[int],
        num_classes: int,
        *,
        width: int,
        layers: int,
        embedding: int | None,
        dropout: float,
        recurrent_init: str,
        **others: Any,
    ) -> None:
        super().__init__()
        check_sizes(model, width=width, layers=layers)
        check_dropout(model, dropout)
        if recurrent_init not in RECURRENT_INITS:
            raise unknown_name("recurrent_init", recurrent_init, RECURRENT_INITS)
        if len(input_shape) not in (1, 2) or min(input_shape) < 1:
            raise ValueError(
                f"{model}: takes sequences of tokens (length,) or of numbers (length, features); "
                f"input_shape={tuple(input_shape)} is neither"
            )
        self.embedding: nn.Embedding | None = None
        features = input_shape[-1]
        if len(input_shape) == 1:
            features = width if embedding is None else embedding
            check_sizes(model, embedding=features)
            self.embedding = nn.Embedding(num_classes, features)
        elif embedding is not None:
            raise ValueError(f"{model}: embedding={embedding}, but the inputs are not tokens")
        between = dropout if layers > 1 else 0.0  # torch warns of any with one layer
        self.core = cell(features, width, layers, batch_first=True, dropout=between, **others)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, num_classes)
        self._initialise(recurrent_init, width)

    @torch.no_grad()
    def _initialise(self, recurrent_init: str, width: int) -> None:
        for name, parameter in self.core.named_parameters():
            if name.startswith("weight_hh"):
                for gate in parameter.split(width):
                    RECURRENT_INITS[recurrent_init](gate)

    def forward(self, inputs: Tensor, state: State = None) -> tuple[Tensor, State]:
        if self.embedding is not None:
            inputs = self.dropout(self.embedding(inputs))
        with _kernels(inputs):
            hidden, state = self.core(inputs, state)
        return self.head(self.dropout(hidden)), state


class RNN(Recurrent):
    """Plain recurrent network; `nonlinearity` is tanh or relu. See `Recurrent`."""

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        width: int = 128,
        layers: int = 1,
        embedding: int | None = None,
        dropout: float = 0.0,
        nonlinearity: str = "tanh",
        recurrent_init: str = "default",
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise unknown_name("nonlinearity", nonlinearity, NONLINEARITIES)
        super().__init__(
            model="RNN",
            cell=nn.RNN,
            input_shape=input_shape,
            num_classes=num_classes,
            width=width,
            layers=layers,
            embedding=embedding,
            dropout=dropout,
            recurrent_init=recurrent_init,
            nonlinearity=nonlinearity,
        )


class GRU(Recurrent):
    """Gated recurrent units. See `Recurrent`."""

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        width: int = 128,
        layers: int = 1,
        embedding: int | None = None,
        dropout: float = 0.0,
        recurrent_init: str = "default",
    ) -> None:
        super().__init__(
            model="GRU",
            cell=nn.GRU,
            input_shape=input_shape,
            num_classes=num_classes,
            width=width,
            layers=layers,
            embedding=embedding,
            dropout=dropout,
            recurrent_init=recurrent_init,
        )


class LSTM(Recurrent):
    """Long short-term memory. See `Recurrent`.

    `forget_bias` is what the biases of the forget gates start with in sum; 1 keeps the cells open
    at first (Jozefowicz, Zaremba, Sutskever, 2015). None leaves torch's draws around 0.
    """

    def __init__(
        self,
        *,
        input_shape: Sequence[int],
        num_classes: int,
        width: int = 128,
        layers: int = 1,
        embedding: int | None = None,
        dropout: float = 0.0,
        recurrent_init: str = "default",
        forget_bias: float | None = 1.0,
    ) -> None:
        super().__init__(
            model="LSTM",
            cell=nn.LSTM,
            input_shape=input_shape,
            num_classes=num_classes,
            width=width,
            layers=layers,
            embedding=embedding,
            dropout=dropout,
            recurrent_init=recurrent_init,
        )
        if forget_bias is not None:
            self._open_forget_gates(forget_bias)

    @torch.no_grad()
    def _open_forget_gates(self, bias: float) -> None:
        for name, parameter in self.core.named_parameters():
            if name.startswith("bias"):  # torch adds two vectors of them, gates in order i, f, g, o
                gates = parameter.chunk(4)
                gates[1].fill_(bias if name.startswith("bias_ih") else 0.0)
