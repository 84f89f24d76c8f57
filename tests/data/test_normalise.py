"""optbench.data.normalise"""

import torch

from optbench.data.normalise import Normaliser


def test_uint8_is_scaled_then_normalised_by_channel(device: torch.device) -> None:
    images = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, device=device)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    out = Normaliser(mean, std, device)(images)
    expected = (images.double() / 255 - torch.tensor(mean, device=device).view(3, 1, 1)) / (
        torch.tensor(std, device=device).view(3, 1, 1)
    )
    torch.testing.assert_close(out, expected.float())
    assert out.device.type == device.type


def test_floats_are_not_scaled_and_not_changed() -> None:
    images = torch.rand(2, 1, 3, 3)
    before = images.clone()
    out = Normaliser([0.5], [2.0], torch.device("cpu"))(images)
    assert torch.equal(images, before)
    assert torch.equal(out, (before - 0.5) / 2.0)
