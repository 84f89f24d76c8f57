"""optbench.training.objective: products against dense matrices, losses, captured layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from optbench.errors import UserError
from optbench.models.recurrent import LSTM
from optbench.tasks.base import Modules, Task
from optbench.tasks.classification import Classification
from optbench.tasks.function import Function
from optbench.tasks.language import Language
from optbench.training import many_losses
from optbench.training.many_losses import ManyLosses, Way
from optbench.training.objective import Objective

from .objectives import EXAMPLES, PROBLEMS, Problem, classified, dense, flat, unflat, worst
from .ranks import ranks

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script")  # torch.func's own
each_problem = pytest.mark.parametrize("name", PROBLEMS)


@each_problem
@pytest.mark.parametrize("accumulate", [1, 2])
def test_products_equal_dense_matrices(name: str, accumulate: int) -> None:
    problem = PROBLEMS[name]()
    assert worst(problem, problem.objective(accumulate)) < 1e-10


@pytest.mark.slow
def test_products_equal_dense_matrices_on_two_ranks() -> None:
    ranks([], program=(str(Path(__file__).with_name("objectives.py")),))
    for rank in (0, 1):
        found = json.loads(Path(f"rank-{rank}.json").read_text(encoding="utf-8"))
        assert found == dict.fromkeys(PROBLEMS, True)


def test_products_in_some_parameters_are_of_their_block() -> None:
    problem = PROBLEMS["mlp"]()
    some = problem.parameters[2:4]
    first = sum(p.numel() for p in problem.parameters[:2])
    block = slice(first, first + sum(p.numel() for p in some))
    vectors = [torch.randn_like(p) for p in some]
    objective = problem.objective()
    for matrix, product in zip(dense(problem), (objective.hvp, objective.ggnvp), strict=True):
        wanted = matrix[block, block] @ flat(vectors)
        assert torch.allclose(flat(product(some, vectors)), wanted, rtol=1e-10, atol=1e-14)


class Two(nn.Module):
    """Logits in a dictionary, in two parts, with something that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(5, 2), nn.Linear(5, 1)

    def forward(self, inputs: Tensor) -> dict[str, object]:
        return {"parts": (self.one(inputs).tanh(), [self.other(inputs).exp()]), "said": "no"}


class Joined(Classification):
    """Cross-entropy of the parts."""

    def predict(self, modules: Modules, batch: tuple[Tensor, Tensor], player: str) -> Tensor:
        outputs: Tensor = modules[player](batch[0])
        return outputs

    def criterion(self, outputs: Tensor, batch: tuple[Tensor, Tensor]) -> Tensor:
        one, (other,) = outputs["parts"]  # type: ignore[call-overload]
        return super().criterion(torch.cat([one, other], dim=1), batch)


class Concatenated(nn.Module):
    """The same logits as one tensor."""

    def __init__(self, two: Two) -> None:
        super().__init__()
        self.two = two

    def forward(self, inputs: Tensor) -> Tensor:
        one, (other,) = self.two(inputs)["parts"]  # type: ignore[misc]
        return torch.cat([one, other], dim=1)


def test_outputs_may_be_tensors_in_tuples_and_mappings() -> None:
    torch.manual_seed(0)
    problem = classified(Two(), (5,))
    together = Problem(
        Concatenated(problem.module),  # type: ignore[arg-type]
        Classification(),
        problem.inputs,
        problem.targets,
    )
    problem.task = Joined()
    vectors = [torch.randn_like(p) for p in problem.parameters]
    found = problem.objective(2).ggnvp(problem.parameters, vectors)
    wanted = dense(together)[1] @ flat(vectors)
    assert torch.allclose(flat(found), wanted, rtol=1e-10, atol=1e-14)


class Whole(Classification):
    """A loss that is more than a criterion."""

    def loss(self, modules: Modules, batch: tuple[Tensor, Tensor], player: str) -> Tensor:
        return super().loss(modules, batch, player) * 2


@pytest.mark.parametrize(
    ("task", "said"),
    [(Whole(), "Whole is not a criterion"), (Function((5,)), "Function is linear")],
)
def test_without_a_gauss_newton_matrix_one_line_says_so(task: Task, said: str) -> None:
    problem = PROBLEMS["mlp"]()
    problem.task = task
    vectors = [torch.ones_like(p) for p in problem.parameters]
    with pytest.raises(UserError, match=said):
        problem.objective().ggnvp(problem.parameters, vectors)
    problem.objective().hvp(problem.parameters, vectors)


@pytest.mark.parametrize("product", ["hvp", "ggnvp"])
def test_what_is_no_list_of_vectors_is_named(product: str) -> None:
    problem = PROBLEMS["mlp"]()
    take: Any = getattr(problem.objective(), product)
    parameters = problem.parameters
    vectors = [torch.ones_like(p) for p in parameters]
    count = len(vectors)
    for wrong, said in (
        ((1, 2), "parameters: expected a list of tensors, not an object of int"),
        ((parameters, vectors[0]), "vectors: expected a list of tensors, not an object of Tensor"),
        ((parameters, vectors[:-1]), f"vectors: {count - 1}, where there are {count} parameters"),
        ((parameters, [v[None] for v in vectors]), r"vectors\[0\] is \[1, "),
    ):
        with pytest.raises(ValueError, match=said):
            take(*wrong)


def test_outputs_in_which_parameters_have_no_part() -> None:
    problem = PROBLEMS["mlp"]()
    frozen = nn.Parameter(torch.ones(3, dtype=torch.float64))
    problem.module.register_parameter("unused", frozen)
    objective = problem.objective()
    for product in (objective.hvp, objective.ggnvp):
        (found,) = product([frozen], [torch.ones_like(frozen)])
        assert torch.equal(found, torch.zeros_like(frozen))


# losses


class Picky(nn.Module):
    """Looks at numbers to decide what to do, which vmap can't."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(5, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.linear(inputs)
        return outputs if outputs.sum() > 0 else -outputs


def lstm() -> Problem:
    torch.manual_seed(0)
    ids = torch.randint(5, (EXAMPLES, 5))
    module = LSTM(input_shape=(4,), num_classes=5, width=4).double()
    return Problem(module, Language((4,)), ids[:, :-1], ids[:, 1:])


def with_dropout() -> Problem:
    torch.manual_seed(0)
    layers = [nn.Linear(5, 8), nn.Dropout(0.5), nn.Tanh(), nn.Linear(8, 3)]
    return classified(nn.Sequential(*layers), (5,))


def with_batch_norm() -> Problem:
    torch.manual_seed(0)
    return classified(nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), (5,))


MODELS = {
    **PROBLEMS,
    **{"lstm": lstm, "dropout": with_dropout, "batch norm": with_batch_norm},
    "data-dependent": lambda: classified(Picky(), (5,)),
}


def points(problem: Problem, count: int) -> list[Tensor]:
    """Some parameter vectors around the present one."""
    generator = torch.Generator().manual_seed(count)
    return [
        p.detach() + torch.randn(count, *p.shape, generator=generator, dtype=p.dtype)
        for p in problem.parameters
    ]


def one_by_one(problem: Problem, objective: Objective, stacked: list[Tensor]) -> Tensor:
    """Losses with the parameters themselves at each point."""
    kept = [p.detach().clone() for p in problem.parameters]
    losses = []
    for point in zip(*stacked, strict=True):
        with torch.no_grad():
            torch._foreach_copy_(problem.parameters, list(point))
        losses.append(objective.loss())
    with torch.no_grad():
        torch._foreach_copy_(problem.parameters, kept)
    return torch.stack(losses)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("count", [8, 64])
def test_many_losses_equal_a_loop(name: str, count: int) -> None:
    problem = MODELS[name]()
    objective = problem.objective(accumulate=2)
    stacked = points(problem, count)
    wanted = one_by_one(problem, objective, stacked)
    assert len(wanted.unique()) == count
    for _ in range(2):  # the first time both ways are tried
        found = objective.losses(stacked)
        assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-14)
    assert torch.allclose(objective.losses(stacked, way="loop"), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", [*PROBLEMS, "dropout", "batch norm"])
def test_these_go_by_vmap_too(name: str) -> None:
    problem = MODELS[name]()
    objective = problem.objective(accumulate=2)
    stacked = points(problem, 8)
    wanted = one_by_one(problem, objective, stacked)
    found = objective.losses(stacked, way="vmap")
    assert torch.allclose(found, wanted, rtol=1e-12, atol=1e-14)


class Lagging(nn.BatchNorm1d):
    """Uses running statistics in training."""

    def forward(self, input: Tensor) -> Tensor:
        super().forward(input)
        assert self.running_mean is not None
        return input - self.running_mean


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, Lagging])
@pytest.mark.parametrize("way", ["vmap", "loop"])
def test_many_losses_leave_running_statistics(kind: type[nn.BatchNorm1d], way: Way) -> None:
    torch.manual_seed(0)
    problem = classified(nn.Sequential(nn.Linear(5, 8), kind(8), nn.Linear(8, 3)), (5,))
    objective = problem.objective()
    stacked = points(problem, 8)
    before = {name: b.clone() for name, b in problem.module.named_buffers()}
    assert not objective.plan(8, way="loop").still  # a step's pass moves them
    if kind is Lagging and way == "vmap":
        with pytest.raises(UserError, match="can't be evaluated at many points"):
            objective.plan(8, way=way)
    else:
        wanted = one_by_one(problem, objective, stacked)
        assert torch.allclose(objective.losses(stacked, way=way), wanted, rtol=1e-12, atol=1e-14)
    after = dict(problem.module.named_buffers())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(m.track_running_stats for m in problem.module.modules() if isinstance(m, kind))


def test_no_clock_decides_what_a_plan_says(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(*unused: Any) -> None:
        raise AssertionError("a clock was asked")

    monkeypatch.setattr(ManyLosses, "_timed", timed)
    objective = MODELS["mlp"]().objective()
    assert objective.plan(8).way == "vmap"
    monkeypatch.setattr(many_losses, "LITTLE", {"cpu": 0.0, "cuda": 0.0})
    assert objective.plan(8).way == "loop"
    assert objective.plan(8, way="vmap").way == "vmap"


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_no_clock_decides_the_way_where_torch_is_deterministic(
    seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop takes a second, vmap more or less."""
    times = {"_loop": 1.0, "_vmap": seconds}
    taken: list[str] = []

    def timed(self: ManyLosses, compute: Any) -> tuple[Tensor, float]:
        return compute(), next(each for n, each in times.items() if n in compute.__code__.co_names)

    def noted(name: str) -> Any:
        whole = getattr(ManyLosses, name)
        return lambda *given: (taken.append(name), whole(*given))[1]

    for name in times:
        monkeypatch.setattr(ManyLosses, name, noted(name))
    monkeypatch.setattr(ManyLosses, "_timed", timed)
    problem = MODELS["mlp"]()
    for deterministic, way in ((False, "_vmap" if seconds < 1 else "_loop"), (True, "_vmap")):
        monkeypatch.setattr(
            torch, "are_deterministic_algorithms_enabled", lambda on=deterministic: on
        )
        objective, stacked = problem.objective(), points(problem, 8)
        objective.losses(stacked)
        taken.clear()
        objective.losses(stacked)
        assert taken == [way]


def test_points_of_other_shapes_are_refused() -> None:
    problem = PROBLEMS["mlp"]()
    objective = problem.objective()
    for stacked in ([], points(problem, 8)[1:], points(problem, 0), problem.parameters):
        with pytest.raises(ValueError, match="losses: tensors of the shapes"):
            objective.losses(stacked)


# capture


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_is_captured_makes_the_gradient(accumulate: int) -> None:
    problem = PROBLEMS["mlp"]()
    objective = problem.objective(accumulate)
    layers = [m for m in problem.module.modules() if isinstance(m, nn.Linear)]
    with objective.capture(layers) as seen:
        objective()
        objective.loss()
        objective.hvp(problem.parameters, [torch.ones_like(p) for p in problem.parameters])
    for layer in layers:
        assert [len(each.inputs) for each in seen[layer]] == [[7], [3, 4]][accumulate - 1]
        found = sum(each.weight * each.output_gradients.T @ each.inputs for each in seen[layer])
        assert layer.weight.grad is not None and isinstance(found, Tensor)
        assert torch.allclose(found, layer.weight.grad, rtol=1e-12, atol=1e-16)
    objective()
    assert len(seen[layers[0]]) == accumulate, "it records what comes after the block"


def test_a_captures_output_gradients_are_of_a_micro_batchs_own_mean() -> None:
    problem = PROBLEMS["mlp"]()
    last = [m for m in problem.module.modules() if isinstance(m, nn.Linear)][-1]
    objective = problem.objective(accumulate=2)
    with objective.capture([last]) as seen:
        objective()
    for each in seen[last]:
        logits = last(each.inputs).detach()
        sums = each.output_gradients.sum(dim=0) - logits.softmax(dim=1).mean(dim=0)
        counted = -sums * len(logits)  # labels: whole numbers
        assert torch.allclose(counted, counted.round(), atol=1e-12)
        assert counted.sum() == pytest.approx(len(logits))


def test_a_layer_that_gives_no_tensor_is_refused() -> None:
    problem = lstm()
    objective = problem.objective()
    core = next(m for m in problem.module.modules() if isinstance(m, nn.LSTM))
    with pytest.raises(TypeError, match="LSTM gives a tuple"), objective.capture([core]):
        objective()


def test_unflat_is_flats_inverse() -> None:
    parameters = PROBLEMS["conv"]().parameters
    assert all(map(torch.equal, unflat(flat(parameters), parameters), parameters))
