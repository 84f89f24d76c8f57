"""The tasks of meta-training: of every family, functions of their numbers alone."""

from __future__ import annotations

import pytest
import torch

from optbench.meta.tasks import FAMILIES, draw_task, horizon


@pytest.mark.parametrize("family", FAMILIES)
def test_a_task_is_a_function_of_its_numbers(family: str) -> None:
    names = set()
    for number in range(20):
        before = torch.random.get_rng_state()
        one, two = (draw_task((family,), 7, number, 0) for _ in range(2))
        assert one.name == two.name
        names.add(one.name)
        losses = [float(task.loss(task.start, step)) for step in (0, 1) for task in (one, two)]
        assert losses[0] == losses[1] and losses[2] == losses[3]
        assert losses[0] > 0
        assert family == "quadratic" or losses[0] != losses[2]  # another batch
        assert torch.equal(before, torch.random.get_rng_state())
    assert len(names) > 15


def test_a_quadratic_is_as_badly_conditioned_as_it_says() -> None:
    task = draw_task(("quadratic",), 1, 2, 3)
    size = task.start["x"].numel()
    hessian = torch.autograd.functional.hessian(lambda x: task.loss({"x": x}, 0), torch.zeros(size))
    values = torch.linalg.eigvalsh(hessian)
    said = float(task.name.split()[-1])
    assert float(values[-1] / values[0]) == pytest.approx(said, rel=0.02, abs=0.6)


def test_horizons_are_log_uniform_between_both_ends() -> None:
    found = [horizon(10, 1000, 0, number) for number in range(400)]
    assert min(found) >= 10 and max(found) <= 1000
    assert 0.4 < sum(each < 100 for each in found) / len(found) < 0.6
