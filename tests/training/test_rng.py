"""optbench.training.rng"""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
import torch

from optbench.training import rng


def draws() -> list[float]:
    """Numbers from every generator; an odd count of Gaussians, of which two are made at once."""
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.random()),
        float(np.random.standard_normal()),
        float(torch.rand(())),
        float(torch.randn(())),
    ]


def test_a_seed_repeats_every_generator() -> None:
    rng.seed_everything(5)
    first = draws()
    rng.seed_everything(5)
    assert draws() == first


def test_seeds_and_ranks_differ_in_every_generator() -> None:
    drawn = []
    for seed, rank in [(0, 0), (1, 0), (0, 1), (0, 2), (1, 1)]:
        rng.seed_everything(seed, rank)
        drawn.append(draws())
    for numbers in zip(*drawn, strict=True):
        assert len(set(numbers)) == 5


def test_large_seeds_are_taken() -> None:
    drawn = []
    for seed, rank in ((2**32, 0), (2**32, 3), (2**63 - 1, 0), (2**63 - 1, 3)):
        rng.seed_everything(seed, rank)
        drawn.append(draws())
    assert all(one != other for number, one in enumerate(drawn) for other in drawn[:number])


def test_a_captured_state_goes_on_where_it_was() -> None:
    rng.seed_everything(3)
    draws()
    file = io.BytesIO()
    torch.save(rng.capture(), file)
    expected = draws() + draws()
    rng.seed_everything(99)
    file.seek(0)
    rng.restore(torch.load(file, weights_only=True))
    assert draws() + draws() == expected


def test_a_state_of_an_older_checkpoint_goes_on_too() -> None:
    """Which had the numbers of Python's generator as a list."""
    rng.seed_everything(3)
    state, (version, words, gauss) = rng.capture(), random.getstate()
    expected = draws()
    rng.seed_everything(99)
    rng.restore({**state, "python": [version, list(words), gauss]})
    assert draws() == expected


@pytest.mark.parametrize("words", ["00ff", "no number", ""])
def test_a_state_of_another_length_is_a_bad_value(words: str) -> None:
    state = rng.capture()
    version, _, gauss = state["python"]
    with pytest.raises(ValueError):
        rng.restore({**state, "python": [version, words, gauss]})


def test_torchs_generator_is_seeded_as_torch_does_it() -> None:
    for seed in (0, 7, 2**63 - 1):
        torch.manual_seed(seed)
        expected = torch.get_rng_state()
        rng.seed_everything(seed)
        assert torch.equal(torch.get_rng_state(), expected)


def test_capturing_draws_nothing() -> None:
    rng.seed_everything(3)
    expected = draws()
    rng.seed_everything(3)
    rng.capture()
    assert draws() == expected
