"""The layers whose part of the Fisher matrix is taken for a Kronecker product."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from optbench.torch_internals import ConvBase

PADDINGS = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate"}
PADDINGS["circular"] = "circular"


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer that maps columns a to W a, and is seen as a matrix [groups, b, a].

    Attributes:
        name: in the model.
        module: a Linear, Conv1d, Conv2d or Embedding.
        weight: its parameter, trained.
        bias: its, if it has one that is trained: then a has a last entry 1.
    """

    name: str
    module: nn.Module
    weight: nn.Parameter
    bias: nn.Parameter | None

    @property
    def groups(self) -> int:
        """Of a convolution; each has a matrix of its own."""
        return int(self.module.groups) if isinstance(self.module, ConvBase) else 1

    @property
    def embeds(self) -> bool:
        """Whether a is 1 at one place only, so that the mean of a a^T is diagonal."""
        return isinstance(self.module, nn.Embedding)

    @property
    def sides(self) -> tuple[int, int]:
        """Length of a, with the bias's entry, and of b."""
        if self.embeds:
            return self.weight.shape[0], self.weight.shape[1]
        into = self.weight[0].numel() + (self.bias is not None)
        return into, len(self.weight) // self.groups

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The weight and the bias."""
        return [self.weight] if self.bias is None else [self.weight, self.bias]

    def matrix(self) -> Tensor:
        """Return the gradients, which there are, as [groups, b, a]."""
        gradient = self.weight.grad
        assert gradient is not None
        if self.embeds:
            return gradient.t()[None]
        matrix = gradient.reshape(self.groups, len(self.weight) // self.groups, -1)
        if self.bias is None:
            return matrix
        assert self.bias.grad is not None
        return torch.cat([matrix, self.bias.grad.view(self.groups, -1, 1)], dim=2)

    def split(self, matrix: Tensor) -> list[Tensor]:
        """Return such a matrix in the parameters' shapes."""
        if self.embeds:
            return [matrix[0].t()]
        if self.bias is None:
            return [matrix.reshape(self.weight.shape)]
        return [matrix[..., :-1].reshape(self.weight.shape), matrix[..., -1].reshape(-1)]

    def columns(self, inputs: Tensor, places: int = 0, turn: int = 0) -> Tensor:
        """Return what goes into the matrix, [n, groups, a, places], or ids [n, places].

        Args:
            inputs: of the module.
            places: of a convolution the most that are taken of an example, 0 for all.
            turn: which those are, evenly over the example.
        """
        if self.embeds:
            return inputs.reshape(len(inputs), -1) if inputs.ndim else inputs.reshape(1, 1)
        if isinstance(self.module, ConvBase):
            found = patches(self.module, inputs, places, turn)
        else:
            found = inputs.reshape(1 if inputs.ndim == 1 else len(inputs), -1, inputs.shape[-1])
            found = found.transpose(1, 2)[:, None]
        if found.dtype in (torch.float16, torch.bfloat16):
            found = found.float()
        if self.bias is None:
            return found
        ones = found.new_ones(found.shape[0], found.shape[1], 1, found.shape[3])
        return torch.cat([found, ones], dim=2)

    def rows(self, gradients: Tensor) -> Tensor:
        """Return gradients of the module's output as [n, groups, b, places]."""
        if isinstance(self.module, ConvBase):
            dims = 1 if isinstance(self.module, nn.Conv1d) else 2
            batch = gradients if gradients.ndim == dims + 2 else gradients[None]
            found = batch.reshape(len(batch), self.groups, -1, batch[0, 0].numel())
        else:
            count = 1 if gradients.ndim == 1 else len(gradients)
            found = gradients.reshape(count, -1, gradients.shape[-1]).transpose(1, 2)[:, None]
        return found.float() if found.dtype in (torch.float16, torch.bfloat16) else found


def patches(module: nn.Module, inputs: Tensor, places: int, turn: int) -> Tensor:
    """Return what a convolution's kernel sees, [n, groups, a, places]; see `Layer.columns`."""
    assert isinstance(module, nn.Conv1d | nn.Conv2d)
    kernel, stride = list(module.kernel_size), list(module.stride)
    dilation = list(module.dilation)
    images = inputs if inputs.ndim == len(kernel) + 2 else inputs[None]
    images = pad(images, _paddings(module), PADDINGS[module.padding_mode])
    for axis, (size, step, far) in enumerate(zip(kernel, stride, dilation, strict=True), start=2):
        images = images.unfold(axis, (size - 1) * far + 1, step)[..., ::far]
    count, channels, inside = images.shape[0], images.shape[1], images.shape[2 : 2 + len(kernel)]
    if places and inside.numel() > places:
        chosen = _chosen(inside.numel(), places, turn, inputs.device)
        at = [chosen] if len(inside) == 1 else [chosen // inside[1], chosen % inside[1]]
        images = images[:, :, at[0]] if len(at) == 1 else images[:, :, at[0], at[1]]
        images = images[:, :, :, None] if len(kernel) == 2 else images
        taken = len(chosen)
    else:
        taken = inside.numel()
    kernel_last = images.reshape(count, channels, taken, -1).transpose(2, 3)
    return kernel_last.reshape(count, module.groups, -1, taken)


def _chosen(all_places: int, places: int, turn: int, device: torch.device) -> Tensor:
    """Return some of the places, evenly spaced, others in each turn."""
    step = all_places / places
    first = (turn * 0.6180339887498949) % 1.0 * step  # the golden ratio fills gaps evenly
    return (torch.arange(places, device=device, dtype=torch.float64) * step + first).long()


def _paddings(module: nn.Conv1d | nn.Conv2d) -> list[int]:
    """Return how far each side is padded, the last axis first, as `pad` takes it."""
    found: list[int] = []
    for axis, size in enumerate(module.kernel_size):
        if module.padding == "same":
            whole = module.dilation[axis] * (size - 1)
            found = [whole // 2, whole - whole // 2, *found]
        else:
            each = 0 if isinstance(module.padding, str) else int(module.padding[axis])
            found = [each, each, *found]
    return found


def layers(module: nn.Module) -> list[Layer]:
    """Return the layers of a model that K-FAC knows: Linear, Conv1d, Conv2d, Embedding.

    Of those whose weight is trained, and no other module's too, as an output layer's that is tied
    to an embedding.
    """
    owners: Counter[int] = Counter()
    for each in module.modules():
        owners.update(id(p) for p in each.parameters(recurse=False))
    return [
        layer
        for layer in _known(module)
        if all(owners[id(parameter)] == 1 for parameter in layer.parameters)
    ]


def preconditioned(module: nn.Module) -> set[str]:
    """Return the names of the parameters of a model's `layers`.

    Raises:
        ValueError: there are none.
    """
    found = {id(parameter) for layer in layers(module) for parameter in layer.parameters}
    if not found:
        kinds = dict.fromkeys(name for _, name in unknown(module))
        raise ValueError(
            f"K-FAC knows Linear, Conv1d, Conv2d and Embedding, and the model has none that is "
            f"trained: {', '.join(kinds) or 'no layers'}"
        )
    return {name for name, parameter in module.named_parameters() if id(parameter) in found}


def unknown(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield names and kinds of modules with trained parameters that no layer of ours has."""
    known = {id(parameter) for layer in layers(module) for parameter in layer.parameters}
    for name, each in module.named_modules():
        own = [p for p in each.parameters(recurse=False) if p.requires_grad]
        if any(id(parameter) not in known for parameter in own):
            yield name or "the model itself", type(each).__name__


def _known(module: nn.Module) -> Iterator[Layer]:
    for name, each in module.named_modules():
        if type(each) not in (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Embedding):
            continue  # a class derived of one may compute something else
        if isinstance(each, nn.Embedding) and (
            each.sparse or each.scale_grad_by_freq or each.max_norm is not None
        ):
            continue
        weight, bias = each.weight, getattr(each, "bias", None)
        if weight.requires_grad:
            trained = bias if bias is not None and bias.requires_grad else None
            yield Layer(name, each, weight, trained)
