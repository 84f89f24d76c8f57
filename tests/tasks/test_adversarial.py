"""Two players: losses, whose gradients, and scores of made images."""

import pytest
import torch

from optbench.models.dcgan import dcgan
from optbench.tasks.adversarial import Adversarial
from optbench.tasks.sliced_wasserstein import directions, project, sliced_wasserstein

SHAPE = (1, 8, 8)
PLAYERS = ("discriminator", "generator")


@pytest.fixture
def modules():
    torch.manual_seed(0)
    return dict(dcgan(input_shape=SHAPE, width=4, latent=5).items())


@pytest.fixture
def images():
    torch.manual_seed(1)
    return torch.rand(12, *SHAPE)


@pytest.fixture
def evaluated(modules):
    """After some training passes, so that batch norm has statistics; now in evaluation mode."""
    for _ in range(20):
        modules["discriminator"](torch.rand(12, *SHAPE), modules["generator"](torch.randn(12, 5)))
    for module in modules.values():
        module.eval()
    return modules


def turn(modules, player):
    """The trainer's part: the others are frozen."""
    for name, module in modules.items():
        module.requires_grad_(name == player)
        module.zero_grad(set_to_none=True)


@pytest.mark.parametrize("player", PLAYERS)
def test_a_turn_gives_gradients_to_its_own_player_only(player, modules, images):
    turn(modules, player)
    Adversarial().loss(modules, (images,), player).backward()
    for name, module in modules.items():
        gradients = [parameter.grad for parameter in module.parameters()]
        if name == player:
            assert all(gradient is not None and gradient.any() for gradient in gradients)
        else:
            assert gradients == [None] * len(gradients)


def test_the_discriminator_gives_the_generator_nothing_even_unfrozen(modules, images):
    Adversarial().loss(modules, (images,), "discriminator").backward()
    assert all(parameter.grad is None for parameter in modules["generator"].parameters())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_are_goodfellows(smoothing, modules, images):
    task = Adversarial(label_smoothing=smoothing)
    torch.manual_seed(3)
    made = modules["generator"](torch.randn(12, 5))
    real, fake = (logits.sigmoid() for logits in modules["discriminator"](images, made))
    of_real = -((1 - smoothing) * real.log() + smoothing * (1 - real).log())
    expected = (of_real - (1 - fake).log()).mean().item()
    torch.manual_seed(3)
    loss = task.loss(modules, (images,), "discriminator").item()
    assert loss == pytest.approx(expected, rel=1e-5)
    torch.manual_seed(3)
    loss = task.loss(modules, (images,), "generator").item()
    assert loss == pytest.approx(-fake.log().mean().item(), rel=1e-5)


def test_noise_is_drawn_anew_from_the_global_generator(modules, images):
    task = Adversarial()
    torch.manual_seed(3)
    first = task.loss(modules, (images,), "generator")
    assert task.loss(modules, (images,), "generator") != first
    torch.manual_seed(3)
    assert task.loss(modules, (images,), "generator") == first


def scores(task, modules, images, batch):
    parts = images.split(batch)
    sums = sum(float(task.score(modules, (part,))["real_accuracy"]) for part in parts)
    rows = torch.cat([task.collect(modules, (part,)) for part in parts])
    return {"real_accuracy": sums / len(images)} | task.whole(modules, rows)


@torch.no_grad()
def test_scores_are_all_there_and_always_the_same(evaluated, images):
    task = Adversarial()
    before = torch.get_rng_state()
    found = scores(task, evaluated, images, 12)
    samples = task.show(evaluated, (images,)).images["samples"]
    assert torch.equal(torch.get_rng_state(), before)
    assert set(found) == set(task.metrics)
    assert scores(Adversarial(), evaluated, images, 5) == pytest.approx(found, rel=1e-6)
    assert torch.equal(task.show(evaluated, (images[:2],)).images["samples"], samples)
    assert samples.shape == (1, 8 * 10 + 2, 8 * 10 + 2)


@torch.no_grad()
def test_scores_are_those_of_made_images(evaluated, images, monkeypatch):
    monkeypatch.setattr("optbench.tasks.adversarial.MADE_AT_ONCE", 5)
    noise = torch.randn(12, 5, generator=torch.Generator().manual_seed(0))
    made = evaluated["generator"](noise)
    onto = directions(64)
    found = scores(Adversarial(), evaluated, images, 12)
    distance = sliced_wasserstein(project(images, onto), project(made, onto))
    assert found["sliced_wasserstein"] == pytest.approx(distance, rel=1e-5)
    judge = evaluated["discriminator"]
    real, fake = judge(images)[0] > 0, judge(made)[0] <= 0
    assert found["real_accuracy"] == pytest.approx(real.float().mean().item())
    assert found["fake_accuracy"] == pytest.approx(fake.float().mean().item())


@torch.no_grad()
def test_normalised_images_are_pixels_again(evaluated, images):
    plain, normalising = Adversarial(), Adversarial(mean=[0.3], std=[0.5])
    normalised = (images - 0.3) / 0.5
    found = scores(normalising, evaluated, normalised, 12)
    assert found == pytest.approx(scores(plain, evaluated, images, 12), rel=1e-5)
    losses = []
    for task, batch in ((plain, images), (normalising, normalised)):
        torch.manual_seed(3)
        losses.append(task.loss(evaluated, (batch,), "discriminator").item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@torch.no_grad()
def test_autocast_does_not_round_the_projections(modules, images):
    task = Adversarial()
    plain = task.collect(modules, (images,))
    with torch.autocast("cpu", torch.bfloat16):
        rows = task.collect(modules, (images,))
    assert rows.dtype == torch.float32
    assert torch.equal(rows, plain)


@pytest.mark.parametrize("player", PLAYERS)
def test_losses_are_finite_and_float32_under_autocast(player, modules, images):
    turn(modules, player)
    with torch.autocast("cpu", torch.bfloat16):
        loss = Adversarial().loss(modules, (images,), player)
    assert loss.dtype == torch.float32
    loss.backward()
    assert all(p.grad.isfinite().all() for p in modules[player].parameters())


def test_refuses_a_data_set_of_unknown_range():
    with pytest.raises(ValueError, match=r"mean=\[0\] std=\[1\]"):
        Adversarial(mean=[])
