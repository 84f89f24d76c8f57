"""optbench.assemble.smallest: runs that would meet one example where a model can't train on one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from optbench.assemble.smallest import _nearest, _smallest, check_smallest
from optbench.data.tensor_source import TensorSource
from optbench.errors import UserError
from optbench.tasks.base import Task
from optbench.training import rng
from optbench.training.batches import BatchStream
from optbench.training.precision import Precision

CPU = torch.device("cpu")
FIRST = nn.Linear(3, 1)


def feed_of(examples: int, batch_size: int, accumulate: int = 1, ranks: int = 1) -> BatchStream:
    inputs = torch.randn(examples, 3, generator=torch.Generator().manual_seed(0))
    source = TensorSource(inputs, torch.zeros(examples, dtype=torch.int64), None)
    return BatchStream(source, torch.arange(examples), batch_size, accumulate, ranks=ranks)


@settings(max_examples=200)
@given(
    st.integers(1, 60), st.integers(1, 60), st.integers(1, 5), st.integers(1, 4), st.integers(1, 70)
)
def test_it_is_the_smallest_that_is_fed(
    examples: int, batch_size: int, accumulate: int, ranks: int, steps: int
) -> None:
    feed = feed_of(examples, min(batch_size, examples), accumulate, ranks)
    sizes = []
    for rank in range(ranks):
        feed.rank = rank
        for step in range(min(steps, feed.steps_per_epoch)):
            sizes += [stop - start for (start, stop), _ in feed._cut(step)[0]]
    assert _smallest(feed, feed.batch_size, steps) == min(sizes)


class Mean(Task):
    """Whatever comes out, averaged; it draws a random number, and each player has its module."""

    def loss(self, modules: Any, batch: Any, player: str) -> Tensor:
        torch.rand(1)
        return modules[player](batch[0]).mean()


def check(module: nn.Module, feed: BatchStream, steps: int = 1000, **config: Any) -> None:
    given = SimpleNamespace(batch_size=feed.batch_size, compile=False, steps=None)
    settings = SimpleNamespace(**{**vars(given), **config})
    modules = {"first": FIRST, "model": module}
    check_smallest(settings, Mean(), modules, feed, steps, Precision(CPU))  # type: ignore[arg-type]


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))


@pytest.mark.parametrize(
    ("feed", "words"),
    [
        (feed_of(21, 5), ["batch_size=5: of 21 examples", "leaves none alone"]),
        (feed_of(25, 6), ["batch_size=6: of 25", "batch_size=5 or batch_size=7 leaves none"]),
        (feed_of(24, 2, 2), ["accumulate=2", "batch_size=4 leaves none"]),
        (feed_of(24, 4, 1, 3), ["(3 ranks)", "batch_size=6 leaves none"]),
        (feed_of(24, 8, 3, 2), ["(accumulate=3, 2 ranks)", "batch_size=12 leaves none"]),
        (feed_of(24, 2, 1, 3), ["(3 ranks)", "batch_size=6 leaves none"]),
        (feed_of(1, 1), ["take more examples, or fewer parts"]),
    ],
)
def test_one_example_for_batch_norm_is_refused(feed: BatchStream, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        check(normed(), feed)
    message = str(caught.value)
    assert "\n" not in message
    assert "more than 1 value per channel" in message
    assert [word for word in words if word not in message] == []
    for size in _nearest(feed, None):
        check(normed(), feed_of(len(feed.indices), size, feed.accumulate, feed.ranks))


@pytest.mark.parametrize("feed", [feed_of(20, 5), feed_of(22, 5), feed_of(24, 12, 3, 2)])
def test_more_than_one_is_not_tried(feed: BatchStream) -> None:
    class Never(nn.Module):
        def forward(self, inputs: Tensor) -> Tensor:
            raise AssertionError

    check(Never(), feed)


def test_a_run_that_ends_before_the_lone_example_is_left_alone() -> None:
    check(normed(), feed_of(21, 5), steps=4)
    with pytest.raises(UserError):
        check(normed(), feed_of(21, 5), steps=5)


@pytest.mark.parametrize(
    "module",
    [
        nn.Linear(3, 1),
        nn.LayerNorm(3),
        nn.Linear(4, 1),  # fails with two as well: not for this to say
        nn.Sequential(nn.Unflatten(1, (1, 3)), nn.BatchNorm1d(1)),  # three places
    ],
)
def test_what_one_example_does_no_harm_to_is_left_alone(module: nn.Module) -> None:
    check(module, feed_of(21, 5))


def test_nothing_is_changed() -> None:
    module = nn.Sequential(nn.Unflatten(1, (1, 3)), nn.BatchNorm1d(1), nn.Dropout(0.5))
    module[1].eval()
    torch.manual_seed(3)
    state, before = rng.capture(), {k: v.clone() for k, v in module.state_dict().items()}
    check(module, feed_of(21, 5))
    assert torch.equal(rng.capture()["torch"], state["torch"])
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert [part.training for part in module.modules()] == [True, True, False, True]
    assert all(parameter.grad is None for parameter in module.parameters())


def test_a_buffer_that_is_assigned_anew_is_put_back() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.ones(3))

        def forward(self, inputs: Tensor) -> Tensor:
            self.mean = 0.5 * self.mean + inputs.detach().mean(0)
            return inputs - self.mean

    module = Own()
    mean = module.mean
    check(module, feed_of(21, 5))
    assert module.mean is mean and torch.equal(mean, torch.ones(3))
