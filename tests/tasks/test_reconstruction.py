"""Reconstruction's and the VAE's losses against their formulas."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from optbench.models.autoencoder import Autoencoder
from optbench.models.vae import VAE
from optbench.tasks.reconstruction import Reconstruction
from optbench.tasks.vae import VariationalAutoencoder, fixed_noise, table

SHAPE = (1, 6, 4)
MEAN, STD = [0.3], [0.5]


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(10, *SHAPE)


@pytest.fixture
def modules():
    torch.manual_seed(1)
    return {"model": Autoencoder(input_shape=SHAPE, hidden=(12,), code=3)}


@pytest.fixture
def variational():
    torch.manual_seed(1)
    return {"model": VAE(input_shape=SHAPE, hidden=(12,), latent=3)}


def test_cross_entropy_is_that_of_pixels_as_probabilities(images, modules):
    made = modules["model"](images).sigmoid()
    each = -(images * made.log() + (1 - images) * (1 - made).log())
    loss = Reconstruction().loss(modules, (images,), "model")
    assert loss.item() == pytest.approx(each.flatten(1).sum(1).mean().item(), rel=1e-5)


def test_squared_error_is_summed_over_pixels(images, modules):
    each = (modules["model"](images).sigmoid() - images).square().flatten(1).sum(1)
    task = Reconstruction(loss="squared_error")
    loss = task.loss(modules, (images,), "model").item()
    assert loss == pytest.approx(each.mean().item(), rel=1e-5)
    scores = task.score(modules, (images,))
    assert scores["loss"] == scores["squared_error"]
    assert scores["loss"].item() == pytest.approx(each.sum().item(), rel=1e-5)


def test_scores_are_sums_over_images(images, modules):
    task = Reconstruction()
    scores = task.score(modules, (images, torch.zeros(10)))
    assert set(scores) == set(task.metrics)
    assert scores["loss"].item() / 10 == pytest.approx(
        task.loss(modules, (images,), "model").item()
    )
    parts = [task.score(modules, (part,)) for part in images.split(3)]
    for name, value in scores.items():
        assert sum(part[name].item() for part in parts) == pytest.approx(value.item(), rel=1e-5)


@pytest.mark.parametrize("kind", [Reconstruction, VariationalAutoencoder])
def test_normalised_images_are_pixels_again(kind, images, modules, variational):
    """The loss compares with pixels, whatever the data set has made of them for the model."""
    task = kind(mean=MEAN, std=STD)
    model = modules if kind is Reconstruction else variational
    normalised = (images - MEAN[0]) / STD[0]
    shown = task.show(model, (normalised,)).images["reconstructions"]
    assert torch.allclose(shown[:, 10:16, 2:6], images[0], atol=1e-5)

    torch.manual_seed(3)
    logits = model["model"](normalised)
    logits = logits if kind is Reconstruction else logits[0]
    bits = -Bernoulli(logits=logits, validate_args=False).log_prob(images)
    score = task.score(model, (normalised,))
    if kind is Reconstruction:
        assert score["loss"].item() == pytest.approx(bits.sum().item(), rel=1e-5)
    else:
        torch.manual_seed(3)
        loss = kind(beta=0.0, mean=MEAN, std=STD).loss(model, (normalised,), "model")
        assert loss.item() == pytest.approx(bits.sum().item() / 10, rel=1e-5)


def test_reconstructions_stand_above_their_originals(images, modules):
    shown = Reconstruction().show(modules, (images,)).images["reconstructions"]
    assert torch.allclose(shown[:, 2:8, 2:6], modules["model"](images)[0].sigmoid())
    assert torch.equal(shown[:, 10:16, 2:6], images[0])


def test_reconstruction_shows_no_more_than_it_has(images, modules):
    shown = Reconstruction().show(modules, (images[:3],))
    assert shown.images["reconstructions"].shape == (1, 2 * 8 + 2, 3 * 6 + 2)


def expected_bound(model, images, noise):
    logits, mean, log_var = model(images, noise)
    reconstruction = -Bernoulli(logits=logits, validate_args=False).log_prob(images)
    code = Normal(mean, (log_var / 2).exp())
    kl = kl_divergence(code, Normal(torch.zeros_like(mean), torch.ones_like(mean)))
    return reconstruction.flatten(1).sum(1), kl.sum(1)


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_the_bound_is_that_of_torchs_distributions(beta, images, variational):
    torch.manual_seed(3)
    noise = torch.randn(10, 3)
    reconstruction, kl = expected_bound(variational["model"], images, noise)
    torch.manual_seed(3)
    loss = VariationalAutoencoder(beta=beta).loss(variational, (images,), "model")
    assert loss.item() == pytest.approx((reconstruction + beta * kl).mean().item(), rel=1e-5)


def test_scores_are_of_the_bound_itself(images, variational):
    variational["model"].eval()
    task = VariationalAutoencoder(beta=4.0)
    scores = task.score(variational, (images,))
    reconstruction, kl = expected_bound(variational["model"], images, fixed_noise(images, 3))
    assert scores["kl"].item() == pytest.approx(kl.sum().item(), rel=1e-5)
    assert scores["reconstruction"].item() == pytest.approx(reconstruction.sum().item(), rel=1e-5)
    assert scores["loss"] == scores["reconstruction"] + scores["kl"]
    assert set(scores) == set(task.metrics)


def test_an_images_noise_follows_from_its_pixels_alone(images):
    noise = fixed_noise(images, 3)
    order = torch.randperm(10)
    assert torch.equal(fixed_noise(images[order], 3), noise[order])
    assert torch.equal(torch.cat([fixed_noise(part, 3) for part in images.split(3)]), noise)
    assert len(noise.unique(dim=0)) == 10
    many = fixed_noise(torch.rand(4000, *SHAPE), 3)
    assert abs(many.mean()) < 0.05
    assert abs(many.std() - 1) < 0.05


def test_scoring_and_showing_leave_the_global_generator_alone(images, variational):
    variational["model"].eval()
    task = VariationalAutoencoder()
    before = torch.get_rng_state()
    first = task.score(variational, (images,))
    shown = task.show(variational, (images,)).images
    assert torch.equal(torch.get_rng_state(), before)
    assert task.score(variational, (images,)) == first
    again = task.show(variational, (images,)).images
    assert all(torch.equal(shown[name], again[name]) for name in shown)
    prior = variational["model"].decode(table(64, 3)).sigmoid()
    assert shown["samples"].shape == (1, 8 * 8 + 2, 8 * 6 + 2)
    assert torch.equal(shown["samples"][:, 2:8, 2:6], prior[0])


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (Reconstruction, {"loss": "crossentropy"}, "loss='crossentropy'.*cross_entropy or"),
        (Reconstruction, {"mean": []}, r"mean=\[0\] std=\[1\]"),
        (VariationalAutoencoder, {"std": []}, "no mean and std"),
        (VariationalAutoencoder, {"beta": -1.0}, "beta=-1.0"),
    ],
)
def test_refuses(kind, settings, message):
    with pytest.raises(ValueError, match=message):
        kind(**settings)


@pytest.mark.parametrize(
    ("task", "model"), [(Reconstruction, "autoencoder"), (VariationalAutoencoder, "vae")]
)
def test_a_classifier_is_refused(task, model, images):
    classifier = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(24, 5))
    with pytest.raises(ValueError, match=f"take the model {model}"):
        task().loss({"model": classifier}, (images,), "model")
