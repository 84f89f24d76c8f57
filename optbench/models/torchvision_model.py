"""Any classification network of torchvision, adapted to the data set at hand."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from optbench.models.arguments import image_dimensions, unknown_name

LARGEST_SMALL_IMAGE = 32


def torchvision_classifier(
    name: str,
    *,
    input_shape: Sequence[int],
    num_classes: int,
    small_stem: bool | None = None,
    zero_init_residual: bool = False,
    kwargs: Mapping[str, Any] = MappingProxyType({}),
) -> nn.Module:
    """Build a torchvision classification model with random weights.

    It maps inputs [N, C, H, W] to logits [N, num_classes]. Auxiliary classifiers (GoogLeNet,
    Inception v3) are left out; models built for one image size (ViT, MaxViT) are built for
    (H, W). For C other than 3 the first convolution is drawn anew, as a normal with the
    deviation of the weights it replaces.

    Args:
        name: a name of `torchvision.models.list_models(module=torchvision.models)`.
        input_shape: (C, H, W) of one example.
        num_classes: number of logits.
        small_stem: replace the 7x7 convolution of stride 2 and the max pooling with which
            ResNets begin by one 3x3 convolution of stride 1, as He et al. 2016 do for
            CIFAR-10. `None` does so where the model has them and H and W are at most 32.
        zero_init_residual: start each residual branch of a ResNet at zero (Goyal et al. 2017).
        kwargs: further arguments of the torchvision model.

    Raises:
        ValueError: if `name` is unknown, the model does not take one of the arguments, or it
            cannot process images of `input_shape`.
    """
    check_name(name)
    shape = image_dimensions(name, input_shape)
    extra = {"zero_init_residual": True} if zero_init_residual else {}
    model = _build(name, shape, num_classes, {**kwargs, **extra})
    _adapt_stem(model, name, shape, small_stem)
    _check_image_size(model, name, shape, num_classes)
    return model


def check_name(name: str) -> None:
    """Raise ValueError unless torchvision has a classification model of this name."""
    import torchvision.models as zoo  # slow to import, and most runs do not need it

    names = zoo.list_models(module=zoo)
    if name not in names:
        raise unknown_name("name", name, names)


def _build(
    name: str, shape: tuple[int, int, int], num_classes: int, arguments: dict[str, Any]
) -> nn.Module:
    from torchvision.models import get_model

    imposed = _imposed_arguments(name, shape)
    try:
        model: nn.Module = get_model(
            name, weights=None, num_classes=num_classes, **arguments, **imposed
        )
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(
            f"{name}: cannot be built for input_shape={shape} with {arguments}: {_one_line(error)}"
        ) from error
    return model


def _imposed_arguments(name: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    _, height, width = shape
    if name in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        return {"image_size": height}
    if name.startswith("maxvit"):
        return {"input_size": (height, width)}
    return {}


def _adapt_stem(
    model: nn.Module, name: str, shape: tuple[int, int, int], small_stem: bool | None
) -> None:
    channels, height, width = shape
    has_large_stem = _has_large_stem(model)
    if small_stem and not has_large_stem:
        raise ValueError(f"{name}: small_stem=True needs a model with the stem of a ResNet")
    if small_stem is None:
        small_stem = has_large_stem and max(height, width) <= LARGEST_SMALL_IMAGE
    if small_stem:
        _make_stem_small(model, channels)
    elif channels != 3:
        _make_first_convolution_anew(model, channels)


def _has_large_stem(model: nn.Module) -> bool:
    conv = getattr(model, "conv1", None)
    return (
        isinstance(conv, nn.Conv2d)
        and conv.kernel_size == (7, 7)
        and conv.stride == (2, 2)
        and isinstance(getattr(model, "maxpool", None), nn.MaxPool2d)
    )


def _make_stem_small(model: nn.Module, channels: int) -> None:
    old = model.get_submodule("conv1")
    assert isinstance(old, nn.Conv2d)
    conv = nn.Conv2d(channels, old.out_channels, 3, padding=1, bias=False)
    # The rule of torchvision's ResNet for all its convolutions.
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    model.set_submodule("conv1", conv)
    model.set_submodule("maxpool", nn.Identity())


def _make_first_convolution_anew(model: nn.Module, channels: int) -> None:
    name, old = next(
        (name, module) for name, module in model.named_modules() if isinstance(module, nn.Conv2d)
    )
    conv = nn.Conv2d(
        channels,
        old.out_channels,
        kernel_size=(old.kernel_size[0], old.kernel_size[1]),
        stride=(old.stride[0], old.stride[1]),
        padding=old.padding,  # type: ignore[arg-type]
        bias=old.bias is not None,
    )
    nn.init.normal_(conv.weight, std=old.weight.std().item())
    if old.bias is not None:
        conv.bias = old.bias
    model.set_submodule(name, conv)


def _check_image_size(
    model: nn.Module, name: str, shape: tuple[int, int, int], num_classes: int
) -> None:
    """Run the model on the meta device, which works out shapes and computes nothing."""
    state: dict[str, Tensor] = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    on_meta = {key: torch.empty_like(tensor, device="meta") for key, tensor in state.items()}
    images = torch.empty(2, *shape, device="meta")
    model.eval()
    try:
        with torch.no_grad():
            logits = functional_call(model, on_meta, (images,))
    except (RuntimeError, ValueError, AssertionError) as error:
        raise ValueError(
            f"{name}: cannot process input_shape={shape}: {_one_line(error)}"
        ) from error
    finally:
        model.train()
    if logits.shape != (2, num_classes):
        raise ValueError(f"{name}: gives outputs {tuple(logits.shape)} for input_shape={shape}")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
