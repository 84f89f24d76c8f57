"""Every model YAML lists its model's arguments; every classifier serves all image sizes."""

import inspect
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import InstantiationException
from omegaconf import OmegaConf

CONFIGS = Path(__file__).parents[2] / "configs" / "model"
NOT_THE_MODELS = ("task", "init", "init_std", "init_bias")

NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml") if path.stem != "custom")
CLASSIFIERS = [name for name in NAMES if "task" not in OmegaConf.load(CONFIGS / f"{name}.yaml")]
DATASETS = [((1, 28, 28), 10), ((1, 8, 8), 10), ((3, 32, 32), 100)]
TOO_SMALL = {("3c3d", (1, 8, 8))}
CASES = [
    (name, shape, classes)
    for name in CLASSIFIERS
    for shape, classes in DATASETS
    if (name, shape) not in TOO_SMALL
]


def test_the_known_models_are_there():
    expected = {"logistic", "mlp", "2c2d", "3c3d", "resnet18", "torchvision", "vit"}
    assert expected <= set(CLASSIFIERS)


@pytest.mark.parametrize(("name", "shape", "classes"), CASES)
def test_maps_images_to_logits_and_trains_every_parameter(
    name, shape, classes, build_model, backward
):
    model = build_model(name, shape, classes)
    assert model.training
    gradients = backward(model, shape, classes)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())
    with torch.no_grad():
        assert model.eval()(torch.zeros(3, *shape)).shape == (3, classes)


@pytest.mark.parametrize(("name", "shape"), sorted(TOO_SMALL))
def test_too_small_an_image_is_refused(name, shape, build_model):
    with pytest.raises(InstantiationException, match=rf"{name}.*\(1, 8, 8\)"):
        build_model(name, shape, 10)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_construction_follows_the_seed(name, build_model):
    first = build_model(name, (1, 28, 28), 10).state_dict()
    second = build_model(name, (1, 28, 28), 10).state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", NAMES)
def test_yaml_lists_every_argument_with_its_default(name):
    config = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{name}.yaml"))
    module, _, target = config.pop("_target_").rpartition(".")
    arguments = inspect.signature(getattr(import_module(module), target)).parameters
    defaults = {
        key: list(argument.default) if isinstance(argument.default, tuple) else argument.default
        for key, argument in arguments.items()
        if argument.default is not inspect.Parameter.empty
    }
    required = {key for key in arguments if key not in defaults}
    own = {key: value for key, value in config.items() if key not in NOT_THE_MODELS}
    assert {key: own[key] for key in defaults} == defaults
    assert set(own) - set(defaults) == required - {"input_shape", "num_classes"}


@pytest.mark.parametrize("name", NAMES)
def test_first_line_describes_the_model(name):
    first = (CONFIGS / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert len(first) > 10


@pytest.mark.parametrize("name", NAMES)
def test_hydra_accepts_the_name_on_the_command_line(name):
    with initialize_config_dir(str(CONFIGS.parent), version_base=None):
        assert "_target_" in compose(overrides=[f"+model={name}"]).model
