"""Noise of gradients: against closed forms, and intervals against many tries."""

from __future__ import annotations

import math
from functools import cache

import pytest
import torch
from torch import Tensor
from training.experiments import experiment

from optbench.errors import UserError
from optbench.instruments.gradient_variance import GradientVariance, Variance, fit, of_distances
from optbench.instruments.look import Look
from optbench.instruments.noise_scale import NoiseScale, of_batches, of_examples, over_steps
from optbench.instruments.per_example import Statistics

NOISY = ("model=noisy_quadratic", "model.dim=20", "dataset.noise=1.5", "dataset.train_size=20000")


@cache
def noisy(*more: str) -> Look:
    return Look(experiment(*NOISY, *more).trainer())


@cache
def digits(*more: str) -> Look:
    return Look(experiment("dataset=digits", *more).trainer())


def closed_form(look: Look) -> float:
    """tr(Sigma) / |G|^2 of 1/2 (x - xi)^T Q (x - xi), xi of N(0, noise^2)."""
    q = look.module.eigenvalues.double()  # type: ignore[union-attr, operator]
    x = look.parameters[0].detach().double()
    return float(1.5**2 * q.square().sum() / (q * x).square().sum())


@pytest.mark.parametrize("method", ["single", "batches"])
def test_the_noise_scale_of_a_noisy_quadratic_is_its_closed_form(method: str) -> None:
    look = noisy()
    instrument = NoiseScale(examples=20000, batches=300, size=20, method=method)
    assert instrument.lacking(look) is None
    values = instrument.measure(look).values
    wanted = closed_form(look)
    assert values["noise_scale/critical_batch"] == pytest.approx(wanted, rel=0.05)
    assert values["noise_scale/low"] < wanted < values["noise_scale/high"]


def test_gradients_that_memory_has_no_room_for_are_drawn_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    instrument = NoiseScale(batches=5, size=4, method="batches")
    kept = instrument.measure(digits()).values
    monkeypatch.setattr("optbench.training.room.ROOM", 0)
    seen = list[tuple[int, int]]()
    again = instrument.measure(digits(), lambda done, of: seen.append((done, of))).values
    assert again == pytest.approx(kept, rel=1e-9)
    assert seen[-1] == (10, 10)


def test_both_methods_agree_on_digits() -> None:
    single = NoiseScale(examples=1437, method="single").measure(digits()).values
    batches = NoiseScale(batches=200, size=16, method="batches").measure(digits()).values
    for part in ("trace", "gradient_squared"):
        assert batches[f"noise_scale/{part}"] == pytest.approx(
            single[f"noise_scale/{part}"], rel=0.1
        )


def test_the_variance_falls_as_one_over_the_batch_size_on_digits() -> None:
    found = GradientVariance(sizes=(1, 4, 16, 64, 256), batches=100).measure(digits())
    values = found.values
    assert values["gradient_variance/exponent"] == pytest.approx(-1, abs=0.05)
    low, high = values["gradient_variance/exponent_low"], values["gradient_variance/exponent_high"]
    assert low < -1 < high
    exact = NoiseScale(examples=1437).measure(digits()).values["noise_scale/trace"]
    assert values["gradient_variance/sigma_squared"] == pytest.approx(exact, rel=0.1)
    assert any("sigma^2 / B holds" in note for note in found.notes)


def test_batch_norm_in_train_mode_has_another_law() -> None:
    look = digits("model.batch_norm=true")
    values = GradientVariance(sizes=(2, 8, 32), batches=60, mode="train").measure(look).values
    exponent, high = (values[f"gradient_variance/{n}"] for n in ("exponent", "exponent_high"))
    assert abs(exponent + 1) > 0.05 or high < -1


def normal(count: int, dim: int, seed: int, mean: float) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    scale = torch.linspace(0.2, 2.0, dim, dtype=torch.float64)
    return mean + scale * torch.randn(count, dim, generator=generator, dtype=torch.float64)


def of_rows(rows: Tensor) -> Statistics:
    mean = rows.mean(0)
    norms, dots = rows.square().sum(1), rows @ mean
    return Statistics(norms, norms, dots, [mean], [rows.square().mean(0)])


def test_the_interval_of_the_noise_scale_covers_it_in_95_percent_of_many_tries() -> None:
    dim, inside, paired = 10, 0, 0
    wanted = float(torch.linspace(0.2, 2.0, dim).double().square().sum()) / (dim * 0.5**2)
    for seed in range(400):
        rows = normal(200, dim, seed, mean=0.5)
        scale = of_examples(of_rows(rows))
        inside += scale.low < wanted < scale.high
        batch = rows.view(40, 5, dim).mean(1)
        mean = batch.mean(0)
        other = of_batches(batch.square().sum(1), batch @ mean, float(mean @ mean), 5)
        paired += other.low < wanted < other.high
    assert inside / 400 == pytest.approx(0.95, abs=0.03)
    assert paired / 400 == pytest.approx(0.95, abs=0.03)


def test_the_jackknife_leaves_each_example_out() -> None:
    rows = normal(12, 3, 0, mean=4.0)
    quotients = []
    for out in range(12):
        left = torch.cat([rows[:out], rows[out + 1 :]])
        trace = left.var(0).sum()
        quotients.append((left.mean(0).square().sum() - trace / 11) / trace)
    every = torch.stack(quotients)
    deviation = math.sqrt(11 / 12 * float((every - every.mean()).square().sum()))
    scale = of_examples(of_rows(rows))
    assert 1 / scale.low - 1 / scale.high == pytest.approx(2 * 1.959964 * deviation, rel=1e-6)


def test_a_gradient_lost_in_noise_has_no_finite_scale() -> None:
    rows = normal(50, 40, 1, mean=0.0)
    rows = rows - rows.mean(0)
    scale = of_examples(of_rows(rows))
    assert scale.batch == math.inf == scale.high
    assert scale.low > 0


def test_steps_are_averaged_before_they_are_divided() -> None:
    seen = [(6.0, 2.0), (8.0, -1.0), (10.0, 5.0)]
    tags = ("probe/noise_scale/trace", "probe/noise_scale/gradient_squared")
    records = [dict(zip(tags, each, strict=True)) for each in seen]
    assert over_steps([*records, {"train/loss": 1.0}]).batch == pytest.approx(24 / 6)
    with pytest.raises(UserError, match="1 steps of it; an average takes 2"):
        over_steps(records[:1])


def test_a_fit_of_powers_finds_them_and_its_error() -> None:
    exact = [Variance(size, 3.0 * size**-0.8, 0.1) for size in (1, 2, 4, 8)]
    found = fit(exact)
    assert found.exponent == pytest.approx(-0.8)
    assert found.at_one == pytest.approx(3.0)
    x = torch.tensor([0.0, 1.0, 2.0, 3.0]) * math.log(2)
    error = 0.1 / math.sqrt(float((x - x.mean()).square().sum()))
    assert found.high - found.exponent == pytest.approx(1.959964 * error, rel=1e-5)


def test_the_exponents_interval_covers_minus_one_in_95_percent_of_many_tries() -> None:
    inside = 0
    for seed in range(300):
        variances = []
        for size in (1, 4, 16, 64):
            points = normal(64, 10, 1000 * seed + size, mean=0.1) / math.sqrt(size)
            squares = points.square().sum(1).tolist()
            whole = float(points.sum(0).square().sum())
            variances.append(of_distances(size, squares, whole))
        found = fit(variances)
        inside += found.low < -1 < found.high
    assert inside / 300 == pytest.approx(0.95, abs=0.03)


def test_a_variance_is_that_of_the_points_wherever_distances_begin() -> None:
    points = normal(30, 4, 3, mean=2.0)
    found = of_distances(1, points.square().sum(1).tolist(), float(points.sum(0).square().sum()))
    assert found.value == pytest.approx(float(points.var(0).sum()))


def test_what_vmap_cant_is_taken_by_batches_and_said() -> None:
    look = digits("model.batch_norm=true")
    found = NoiseScale(batches=3, size=4, mode="train").measure(look)
    assert "BatchNorm in train mode" in found.notes[0]
    assert "of 3 batches of 4 drawn examples" in found.notes
    assert "BatchNorm in train mode" in str(NoiseScale(method="single", mode="train").lacking(look))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NoiseScale(method="both"), "method=both: one of"),
        (lambda: NoiseScale(examples=2), "at least 3"),
        (lambda: GradientVariance(sizes=(4,)), "at least two"),
        (lambda: GradientVariance(batches=2), "batches=2: at least 8"),
    ],
)
def test_arguments_out_of_range_are_refused(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_no_noise_has_no_scale() -> None:
    alike = Statistics(
        losses=torch.ones(4), norms=torch.full((4,), 9.0), dots=torch.full((4,), 9.0),
        mean=[torch.tensor([3.0])], squares=[torch.tensor([9.0])],
    )  # fmt: skip
    assert alike.trace == 0
    with pytest.raises(UserError, match="no noise"):
        of_examples(alike)
    with pytest.raises(UserError, match="no noise"):
        of_batches(alike.norms.double(), alike.dots.double(), 9.0, 2)
