"""optbench.data.augment"""

import pytest
import torch
import torch.nn.functional as F

from optbench.data.augment import Augmentation, uniform_ints
from optbench.data.hashing import GOLDEN, mix64


def test_uniform_ints_are_scaled_splitmix64_words(device: torch.device) -> None:
    key, below = 2**62 + 12345, (9, 2**31, 2)
    indices = torch.tensor([0, 1, 7, 1281166, 2**40])
    expected = [
        [
            (mix64(mix64(key, j) + (i - 1) * GOLDEN) >> 32) * bound >> 32
            for j, bound in enumerate(below)
        ]
        for i in indices.tolist()
    ]
    assert uniform_ints(key, indices.to(device), below).tolist() == expected


def test_uniform_ints_are_uniform_and_independent() -> None:
    draws = uniform_ints(7, torch.arange(90_000), (9, 9, 2))
    joint = draws[:, 0] * 18 + draws[:, 1] * 2 + draws[:, 2]
    counts = torch.bincount(joint, minlength=162).double()
    expected = 90_000 / 162
    chi_squared = float(((counts - expected) ** 2 / expected).sum())
    assert 161 - 5 * 18 < chi_squared < 161 + 5 * 18  # mean 161, deviation sqrt(2 * 161) = 18
    lagged = torch.corrcoef(torch.stack([draws[:-1, 0].double(), draws[1:, 0].double()]))
    assert abs(float(lagged[0, 1])) < 5 / 300


def test_draws_differ_between_keys_and_examples() -> None:
    augmentation = Augmentation(crop=4, flip=True)
    first = augmentation.draw(0, torch.arange(1000))
    second = augmentation.draw(1, torch.arange(1000))
    assert 0.002 < float((first == second).all(1).double().mean()) < 0.02  # chance: 1 / 162


def test_draws_do_not_depend_on_the_batch(device: torch.device) -> None:
    augmentation = Augmentation(crop=4, flip=True)
    indices = torch.randperm(50, generator=torch.Generator().manual_seed(0)).to(device)
    whole = augmentation.draw(3, indices)
    parts = [augmentation.draw(3, part) for part in indices.split(7)]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("size", [(5, 8), (8, 5), (1, 1)])
def test_apply_is_pad_crop_flip(
    dtype: torch.dtype, size: tuple[int, int], device: torch.device
) -> None:
    images = (torch.arange(40 * 3 * size[0] * size[1]) % 251).to(device, dtype)
    images = images.view(40, 3, *size)
    augmentation = Augmentation(crop=2, flip=True)
    draws = augmentation.draw(1, torch.arange(40, device=device))
    out = augmentation.apply(images, draws)
    assert (out.dtype, out.shape) == (dtype, images.shape)
    for image, result, (row, column, flip) in zip(images, out, draws.tolist(), strict=True):
        padded = F.pad(image, (2, 2, 2, 2))
        expected = padded[:, row : row + size[0], column : column + size[1]]
        assert torch.equal(result, expected.flip(-1) if flip else expected)


def test_crop_and_flip_can_be_off() -> None:
    images = torch.rand(20, 1, 4, 4)
    indices = torch.arange(20)
    plain = Augmentation(crop=0, flip=False)
    assert torch.equal(plain.apply(images, plain.draw(0, indices)), images)
    flips = Augmentation(crop=0, flip=True)
    out = flips.apply(images, flips.draw(0, indices))
    flipped = (out == images.flip(-1)).flatten(1).all(1)
    same = (out == images).flatten(1).all(1)
    assert bool((flipped ^ same).all())
    assert 0 < int(flipped.sum()) < 20
