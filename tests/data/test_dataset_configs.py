"""configs/dataset/*.yaml, and that loading leaves torch alone."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.utils import get_object
from omegaconf import OmegaConf

from optbench.data.cache import load_cached
from optbench.errors import ArgumentError

from .image_tree import write_tree

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "dataset").glob("*.yaml"))
CONFIGS = [path for path in CONFIGS if path.stem != "custom"]  # whose, is for a user to say
LABELLED = [path for path in CONFIGS if "task" not in OmegaConf.load(path)]
each_config = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
each_labelled = pytest.mark.parametrize("path", LABELLED, ids=lambda path: path.stem)


def settings_of(path: Path, root: str) -> dict[str, Any]:
    """The file's keys for data under `root`, without downloads."""
    config = OmegaConf.create({"data_root": root, "dataset": OmegaConf.load(path)})
    settings = OmegaConf.to_container(config, resolve=True)
    assert isinstance(settings, dict)
    dataset: dict[str, Any] = settings["dataset"]
    for ours in ("task", "val_fraction"):
        dataset.pop(ours, None)
    if "download" in dataset:
        dataset["download"] = False
    return dataset


@each_labelled
def test_a_config_loads_or_says_what_is_missing(path: Path, tmp_path: Path) -> None:
    on_disk = "root" in OmegaConf.load(path)
    settings = settings_of(path, os.environ.get("OPTBENCH_DATA") or str(tmp_path))
    factory = get_object(settings.pop("_target_"))
    try:
        dataset = load_cached(factory, **settings)
    except ArgumentError as error:
        assert on_disk
        assert settings["root"] in str(error)
        assert "\n" not in str(error)
        return
    source = dataset.open("test", torch.device("cpu"))
    inputs, targets = next(iter(source.stream(torch.tensor([2, 0, 1]), [(0, 2)])))
    assert (inputs.shape, inputs.dtype) == ((2, *dataset.input_shape), torch.float32)
    assert (targets.shape, targets.dtype) == ((2,), torch.int64)
    assert len(source) == dataset.test_size
    assert len(dataset.open("train", torch.device("cpu"))) == dataset.train_size


@each_config
def test_a_missing_data_set_is_one_line_with_the_way_out(path: Path, tmp_path: Path) -> None:
    settings = settings_of(path, str(tmp_path))
    if "root" not in settings:
        pytest.skip("needs no files")
    with pytest.raises(ArgumentError) as caught:
        get_object(settings.pop("_target_"))(**settings)
    message = str(caught.value)
    assert "\n" not in message
    assert all(hint in message for hint in (str(tmp_path), "point root at"))


@each_config
def test_the_first_line_describes_the_data_set(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# ")
    assert len(first) <= 100


LOADING = """
import sys
from hydra.utils import get_object
for settings in {all_settings!r}:
    try:
        get_object(settings.pop("_target_"))(**settings)
    except Exception as error:
        assert type(error).__name__ == "ArgumentError", error
print([name for name in ("torch", "sklearn", "torchvision") if name in sys.modules])
"""


def test_loading_imports_no_torch(tmp_path: Path) -> None:
    write_tree(tmp_path)
    script = LOADING.format(all_settings=[settings_of(path, str(tmp_path)) for path in CONFIGS])
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8"
    )
    assert output.returncode == 0, output.stderr
    assert output.stdout.strip() == "[]"
