"""Small problems in double precision, their objectives, and the matrices by torch.func.

As a program, under torchrun, it holds the one against the other and writes what each rank finds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacrev, vjp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from optbench.data.tensor_source import TensorSource
from optbench.models.gpt import GPT
from optbench.models.mlp import MLP
from optbench.optim.second_order.sophia import Sophia
from optbench.schedules.constant import Constant
from optbench.tasks.base import Task
from optbench.tasks.classification import Classification
from optbench.tasks.language import Language
from optbench.training.batches import BatchStream
from optbench.training.clipping import Clipping
from optbench.training.distributed import World, end, join
from optbench.training.objective import Objective
from optbench.training.player import Player
from optbench.training.precision import Precision
from optbench.training.strategy import strategy_of
from optbench.training.train_step import TrainStep

EXAMPLES = 7
CPU = World(torch.device("cpu"))


@dataclass
class Problem:
    """A model, a task, and seven examples."""

    module: nn.Module
    task: Task
    inputs: Tensor
    targets: Tensor

    def step(self, world: World = CPU) -> TrainStep:
        strategy = strategy_of(world)
        forward = strategy.prepare(self.module)
        optimizer = Sophia(self.module.parameters())
        player = Player(
            name="model",
            module=self.module,
            forward=forward,
            optimizer=optimizer,
            schedule=Constant(),
            schedule_steps=1,
        )
        precision = Precision(world.device)
        return TrainStep(
            player=player,
            modules={"model": self.module},
            task=self.task,
            precision=precision,
            clipping=Clipping(),
            world=world,
            strategy=strategy,
        )

    def objective(self, accumulate: int = 1, world: World = CPU) -> Objective:
        """Of all examples, in one step."""
        source = TensorSource(self.inputs, self.targets, None)
        feed = BatchStream(
            source,
            torch.arange(len(self.inputs)),
            batch_size=len(self.inputs),
            accumulate=accumulate,
            rank=world.rank,
            ranks=world.size,
        )
        return self.step(world).objective(feed.step_at(0, 0))

    @property
    def parameters(self) -> list[nn.Parameter]:
        return list(self.module.parameters())


def mlp() -> Problem:
    """Two hidden layers."""
    torch.manual_seed(0)
    module = MLP(input_shape=(5,), num_classes=3, hidden=[4, 4], activation="tanh")
    return classified(module, (5,))


def conv() -> Problem:
    """A convolution, pooling, a linear layer."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.Softplus(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 3)
    )
    return classified(module, (1, 6, 6))


def gpt() -> Problem:
    """A transformer of one block, whose output layer is the embedding."""
    torch.manual_seed(0)
    module = GPT(input_shape=(4,), num_classes=5, layers=1, heads=2, width=4)
    ids = torch.randint(5, (EXAMPLES, 5))
    with torch.no_grad():
        for parameter in module.parameters():  # the usual start is all but flat
            parameter.mul_(20)
    return Problem(module.double(), Language((4,)), ids[:, :-1], ids[:, 1:])


def classified(module: nn.Module, shape: Sequence[int]) -> Problem:
    inputs = torch.randn(EXAMPLES, *shape, dtype=torch.float64)
    return Problem(module.double(), Classification(), inputs, torch.randint(3, (EXAMPLES,)))


PROBLEMS: dict[str, Callable[[], Problem]] = {"mlp": mlp, "conv": conv, "gpt": gpt}


def flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def unflat(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    parts = vector.split([tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]


def dense(problem: Problem) -> tuple[Tensor, Tensor]:
    """The Hessian and the Gauss-Newton matrix of the mean loss of all examples, [n, n]."""
    names = [name for name, _ in problem.module.named_parameters()]

    def outputs(vector: Tensor) -> Tensor:
        values = dict(zip(names, unflat(vector, problem.parameters), strict=True))
        found: Tensor = functional_call(problem.module, values, (problem.inputs,))
        return found.reshape(-1, found.shape[-1])

    def criterion(logits: Tensor) -> Tensor:
        return cross_entropy(logits, problem.targets.flatten())

    at = flat(problem.parameters)
    with sdpa_kernel(SDPBackend.MATH):
        logits = outputs(at).detach()
        # Row by row: by `hessian`, which goes by vmap, that of a layer norm is wrong in torch 2.14
        # (not symmetric).
        _, row = vjp(grad(lambda vector: criterion(outputs(vector))), at)
        whole = torch.stack([row(unit)[0] for unit in torch.eye(len(at), dtype=at.dtype)])
        jacobian = jacrev(outputs)(at).reshape(logits.numel(), -1)
    curvature: Any = hessian(criterion)(logits)
    inner = curvature.reshape(logits.numel(), -1)
    return whole.detach(), (jacobian.T @ inner @ jacobian).detach()


def worst(problem: Problem, objective: Objective) -> float:
    """How far products with either matrix are from the dense ones, relative to their size."""
    furthest = 0.0
    generator = torch.Generator().manual_seed(1)
    products = (objective.hvp, objective.ggnvp)
    for matrix, product in zip(dense(problem), products, strict=True):
        assert matrix.norm() > 1e-3 and not torch.allclose(matrix, matrix.diag().diag())
        vector = torch.randn(len(matrix), generator=generator, dtype=torch.float64)
        wanted = matrix @ vector
        found = flat(product(problem.parameters, unflat(vector, problem.parameters)))
        furthest = max(furthest, float((found - wanted).norm() / wanted.norm()))
    return furthest


def main() -> None:
    """On each of the ranks that torchrun started."""
    world = join("cpu")
    right: dict[str, bool] = {}
    for name, make in PROBLEMS.items():
        problem = make()
        plain = worst(problem, problem.objective(world=world))
        accumulated = worst(problem, problem.objective(accumulate=2, world=world))
        loss = problem.objective(world=world).loss()
        whole = make().objective().loss()
        stacked = [torch.stack([p.detach()] * 2) for p in problem.parameters]
        losses = problem.objective(accumulate=2, world=world).losses(stacked)
        same = math.isclose(loss, whole, rel_tol=1e-12)
        same = same and torch.allclose(losses, whole.expand(2), rtol=1e-12)
        right[name] = max(plain, accumulated) < 1e-10 and same
    Path(f"rank-{world.rank}.json").write_text(json.dumps(right), encoding="utf-8")
    end(0)


if __name__ == "__main__":
    main()
