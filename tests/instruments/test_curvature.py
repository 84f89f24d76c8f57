"""Instruments of curvature against dense matrices, curvlinops, and a quadratic's closed forms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training.experiments import experiment
from training.objectives import CPU, Problem, conv, dense, mlp

from optbench.errors import UserError
from optbench.instruments.base import Measurement
from optbench.instruments.curvature import Matrix, matrix_of
from optbench.instruments.density import density
from optbench.instruments.hessian import GaussNewton, Hessian
from optbench.instruments.lanczos import eigenvalues
from optbench.instruments.look import Look
from optbench.instruments.saddle import Saddle
from optbench.instruments.spectrum import Spectrum
from optbench.instruments.stability import Stability
from optbench.instruments.trace import trace
from optbench.instruments.traces import HessianTrace
from optbench.models.deepobs import net_2c2d
from optbench.tasks.classification import Classification
from optbench.training.trainer import Trainer

KINDS = ("hessian", "ggn")
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script")  # torch.func's own


@pytest.mark.parametrize("make", [mlp, conv])
@pytest.mark.parametrize("kind", KINDS)
def test_eigenvalues_and_trace_are_the_dense_matrix_own(
    make: Callable[[], Problem], kind: str
) -> None:
    problem = make()
    full = dense(problem)[KINDS.index(kind)].detach()
    true = torch.linalg.eigvalsh(full)
    matrix = matrix_of(problem.parameters, problem.objective(), kind)
    ends = eigenvalues(matrix.matvec, matrix.size, 4, 2, tolerance=1e-5, products=1000)
    assert ends.converged
    scale = float(true.abs().max())
    torch.testing.assert_close(ends.largest, true.flip(0)[:4], rtol=1e-6, atol=1e-6 * scale)
    lowest = 2 if kind == "hessian" else 1  # the GGN has 0 often, which is found once
    torch.testing.assert_close(ends.smallest[:lowest], true[:lowest], rtol=1e-6, atol=1e-9 * scale)
    exact = trace(matrix.matvec, matrix.size, products=matrix.size)
    assert exact.value == pytest.approx(float(full.trace()), rel=1e-6)
    near = trace(matrix.matvec, matrix.size, products=24)
    assert abs(near.value - float(full.trace())) <= 6 * near.error


@pytest.fixture(scope="module")
def two_conv() -> Problem:
    """2c2d on images of 8 x 8: 1.1 million parameters."""
    torch.manual_seed(0)
    module = net_2c2d(input_shape=(1, 8, 8), num_classes=3).double()
    inputs = torch.randn(7, 1, 8, 8, dtype=torch.float64)
    module(inputs)
    return Problem(module, Classification(), inputs, torch.randint(3, (7,)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", KINDS)
def test_2c2d_is_curvlinops_and_scipys(two_conv: Problem, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one of its own dependencies uses what torch deprecates
        import curvlinops
    from scipy.sparse.linalg import eigsh

    cls = curvlinops.HessianLinearOperator if kind == "hessian" else curvlinops.GGNLinearOperator
    theirs = cls(
        two_conv.module,
        nn.CrossEntropyLoss(),
        two_conv.parameters,
        [(two_conv.inputs, two_conv.targets)],
        check_deterministic=False,
    )
    matrix = matrix_of(two_conv.parameters, two_conv.objective(), kind)
    generator = torch.Generator().manual_seed(1)
    vector = torch.randn(matrix.size, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(matrix.matvec(vector), theirs @ vector, rtol=1e-6, atol=1e-9)
    ours = eigenvalues(matrix.matvec, matrix.size, 1, tolerance=1e-4)
    (found,) = eigsh(theirs.to_scipy(), k=1, which="LA", tol=1e-4, return_eigenvectors=False)
    assert ours.largest.tolist() == pytest.approx([found], rel=1e-6)


EIGENVALUES = [1e-3, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 9.0]


def quadratic(*overrides: str, steps: int = 3) -> Trainer:
    """A rotated quadratic, after a few steps."""
    made = experiment(
        "model=quadratic",
        f"model.eigenvalues={EIGENVALUES}",
        "model.dim=10",
        "model.rotation=3",
        "optimizer=sgd",
        "optimizer.lr=0.01",
        "steps=10",
        "eval.every=100",
        *overrides,
    ).trainer()
    made.run(until=steps)
    return made


def test_a_quadratics_numbers_are_its_closed_forms() -> None:
    trainer = quadratic()
    look = Look(trainer)
    hessian = Hessian(top=3, bottom=2, tolerance=1e-8).measure(look).values
    assert list(hessian.values()) == pytest.approx([9, 4, 2, 1e-3, 0.01], rel=1e-6)
    found = HessianTrace().measure(look).values
    assert found["trace/value"] == pytest.approx(sum(EIGENVALUES), rel=1e-9)
    assert found["trace/low"] == found["trace/high"] == found["trace/value"]
    assert found["trace/mean_eigenvalue"] == pytest.approx(sum(EIGENVALUES) / 10, rel=1e-9)
    line = Stability(tolerance=1e-8).measure(look).values
    assert line["stability/sharpness"] == pytest.approx(9, rel=1e-6)
    assert line["stability/line"] == pytest.approx(200)
    assert line["stability/ratio"] == pytest.approx(0.045, rel=1e-6)
    saddle = Saddle().measure(look)
    along = torch.tensor([(1 - 0.01 * v) ** 3 * v for v in EIGENVALUES], dtype=torch.float64)
    assert saddle.values["saddle/gradient_norm"] == pytest.approx(float(along.norm()), rel=1e-9)
    assert saddle.values["saddle/negative_share"] == 0
    assert saddle.values["saddle/negative_mass"] == 0
    assert saddle.tables["verdict"].startswith("no negative curvature")
    spectrum = Spectrum(probes=30).measure(look).values
    assert spectrum["spectrum/mean"] == pytest.approx(sum(EIGENVALUES) / 10, rel=0.3)
    assert spectrum["spectrum/near_zero_share"] == pytest.approx(0.1, abs=0.06)


def test_adams_preconditioned_sharpness_is_its_closed_form() -> None:
    trainer = quadratic("optimizer=adam", "optimizer.lr=0.01", "optimizer.eps=0.03")
    look = Look(trainer)
    (state,) = trainer.players[0].optimizer.state.values()
    vectors = look.module.get_buffer("eigenvectors")
    full = (vectors * torch.tensor(EIGENVALUES, dtype=torch.float64)) @ vectors.T
    divisor = (state["exp_avg_sq"] / (1 - 0.999**3)).sqrt() + 0.03
    divisor = divisor * (1 - 0.9**3)
    wanted = torch.linalg.eigvals(full / divisor[:, None]).real.max()
    values = Stability(tolerance=1e-8).measure(look).values
    assert values["stability/sharpness"] == pytest.approx(float(wanted), rel=1e-6)
    assert values["stability/line"] == pytest.approx(3800)


def test_a_saddle_is_told() -> None:
    trainer = experiment(
        "model=saddle", "optimizer=sgd", "optimizer.lr=0.01", "steps=1", "eval.every=100"
    ).trainer()
    look = Look(trainer)
    found = Saddle().measure(look)
    assert found.values["saddle/smallest"] < 0 < found.values["saddle/largest"]
    assert found.values["saddle/negative_share"] == pytest.approx(0.5, abs=0.4)
    assert "saddle" in found.tables["verdict"]
    assert "negative curvature, down to" in found.notes[0]


def measured(*overrides: str, mode: Any = "eval") -> tuple[Look, Measurement]:
    trainer = experiment("dataset=digits", "batch_size=32", "steps=2", *overrides).trainer()
    trainer.run(until=2)
    look = Look(trainer)
    return look, Hessian(top=2, examples=40, chunk=25, mode=mode, tolerance=1e-2).measure(look)


def test_batch_norm_and_dropout_in_training_are_said() -> None:
    overrides = ("model.batch_norm=true", "model.dropout=0.2")
    look, found = measured(*overrides, mode="train")
    assert found.notes == [
        "of 40 of 1,437 training examples" if look.size() == 1437 else found.notes[0],
        "mode=train: batch norm by the statistics of each chunk (25 at most)",
        "mode=train: with one draw of dropout",
    ]
    assert math.isfinite(found.values["hessian/largest"])
    _, plain = measured(*overrides)
    assert plain.values["hessian/largest"] != found.values["hessian/largest"]
    assert len(plain.notes) == 1


def test_the_matrix_is_over_all_chunks() -> None:
    trainer = experiment("dataset=digits", "batch_size=32", "steps=2").trainer()
    look = Look(trainer)
    found = [
        Hessian(top=1, examples=60, chunk=chunk, tolerance=1e-4).measure(look).values
        for chunk in (60, 17)
    ]
    assert found[0]["hessian/largest"] == pytest.approx(found[1]["hessian/largest"], rel=1e-4)


def test_a_recurrent_model_has_curvature_on_a_cpu() -> None:
    trainer = experiment(
        *("dataset=adding", "dataset.length=6", "model=lstm", "model.width=3", "batch_size=16")
    ).trainer()
    look = Look(trainer)
    full = Hessian(top=1, bottom=1, examples=32).measure(look).values
    ggn = GaussNewton(top=1, examples=32).measure(look).values
    assert full["hessian/largest"] > 0 and ggn["ggn/largest"] > 0


def test_what_has_no_curvature_to_look_at_is_said() -> None:
    half = Look(experiment("dataset=digits", "precision=bf16").trainer())
    assert str(Hessian().lacking(half)).startswith("bfloat16 rounds second derivatives away")
    plain = Look(experiment("dataset=digits", "dataset.val_fraction=0").trainer())
    assert Hessian().lacking(plain) is None
    assert Hessian(split="val").lacking(plain) == "split=val: it has no validation set"
    lion = Look(experiment("dataset=digits", "optimizer=lion").trainer())
    assert str(Stability().lacking(lion)).startswith("no stability line of Lion is known; of SGD,")
    fresh = Look(experiment("dataset=digits", "optimizer=adam").trainer())
    assert "it has not stepped" in str(Stability().lacking(fresh))


def test_a_linear_loss_has_no_ggn() -> None:
    look = Look(quadratic())
    with pytest.raises(UserError, match="is linear in the model's outputs"):
        GaussNewton().measure(look)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Hessian(top=-1), "top=-1: a whole number, at least 0"),
        (lambda: Hessian(top=0, bottom=0), "top=0: and bottom=0 leave nothing"),
        (lambda: Hessian(tolerance=2.0), "tolerance=2.0: a number between 0 and 1"),
        (lambda: Hessian(mode="test"), "mode=test: one of eval, train"),
        (lambda: Hessian(examples=0), "examples=0: a whole number, at least 1"),
        (lambda: HessianTrace(method="guess"), "method=guess: one of hutch"),
        (lambda: Spectrum(matrix="fisher"), "matrix=fisher: one of hessian, ggn"),
    ],
)
def test_other_settings_are_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make()


def test_density_of_a_models_hessian() -> None:
    problem = mlp()
    true = torch.linalg.eigvalsh(dense(problem)[0].detach())
    matrix: Matrix = matrix_of(problem.parameters, problem.objective())
    found = density(matrix.matvec, matrix.size, probes=6, steps=matrix.size)
    share, error = found.share(-math.inf, -1e-3)
    wanted: Tensor = (true < -1e-3).double().mean()
    assert abs(share - float(wanted)) <= 4 * error
    assert CPU.device == matrix.device
