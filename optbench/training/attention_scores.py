"""What attention's scores take of memory where they are made: by vmap, which knows no kernel that
makes a part of them at a time."""

from __future__ import annotations

from math import prod
from typing import Any

from optbench.torch_internals import ATTENTION_AT_ONCE, SOFTMAX, TorchDispatchMode


class AttentionScores(TorchDispatchMode):
    """Notes the bytes of the [queries, keys] of all heads and examples, of each attention inside.

    Attributes:
        most: of the largest one, whether it was made or not.
        unmade: of all that one kernel did without making them.
    """

    supports_higher_order_operators = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self.unmade = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call the operation."""
        found, operation = func(*args, **(kwargs or {})), getattr(func, "overloadpacket", None)
        if operation in ATTENTION_AT_ONCE:
            query, key = args[:2]
            taken = prod(query.shape[:-1]) * key.shape[-2] * query.element_size()
            self.unmade += taken
            self.most = max(self.most, taken)
        elif operation in SOFTMAX:
            self.most = max(self.most, found.numel() * found.element_size())
        return found
