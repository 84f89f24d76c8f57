"""The sliced Wasserstein distance, against scipy's in one dimension."""

import pytest
import torch
from scipy.stats import wasserstein_distance

from optbench.tasks.sliced_wasserstein import DIRECTIONS, directions, project, sliced_wasserstein


@pytest.fixture
def rows():
    torch.manual_seed(0)
    return project(torch.rand(50, 3, 4, 4), directions(48))


def test_it_is_the_mean_of_scipys_over_directions(rows):
    other = project(torch.rand(50, 3, 4, 4).square(), directions(48))
    each = [
        wasserstein_distance(first, second)
        for first, second in zip(rows.T.numpy(), other.T.numpy(), strict=True)
    ]
    assert len(each) == DIRECTIONS
    assert sliced_wasserstein(rows, other) == pytest.approx(sum(each) / len(each), rel=1e-6)


def test_the_order_of_the_images_does_not_matter(rows):
    assert sliced_wasserstein(rows, rows[torch.randperm(50)]) == 0


def test_a_shift_costs_its_length_along_each_direction(rows):
    shift = torch.linspace(-1, 1, DIRECTIONS)
    expected = float(shift.abs().mean())
    assert sliced_wasserstein(rows, rows + shift) == pytest.approx(expected, rel=1e-5)


def test_images_that_are_all_alike_are_far_from_images_that_differ(rows):
    assert sliced_wasserstein(rows, rows.mean(0).expand_as(rows)) > 0.1


def test_directions_are_unit_vectors_and_always_the_same():
    before = torch.get_rng_state()
    onto = directions(48)
    assert torch.equal(torch.get_rng_state(), before)
    assert onto.shape == (48, DIRECTIONS)
    assert torch.allclose(onto.norm(dim=0), torch.ones(DIRECTIONS))
    assert torch.equal(directions(48), onto)
    assert onto.mean().abs() < 0.01


def test_samples_of_two_sizes_are_refused(rows):
    with pytest.raises(ValueError, match="one size"):
        sliced_wasserstein(rows, rows[:-1])
