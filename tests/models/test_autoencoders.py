"""The deep autoencoder and the VAE's network."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from optbench.models.autoencoder import Autoencoder
from optbench.models.init import initialise
from optbench.models.vae import VAE

SHAPE = (3, 8, 6)


def test_the_default_is_the_papers_network():
    model = Autoencoder(input_shape=(1, 28, 28))
    sizes = [784, 1000, 500, 250, 30, 250, 500, 1000, 784]
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    found = {(layer.in_features, layer.out_features) for layer in layers}
    assert found == set(pairwise(sizes))
    assert len(layers) == 8
    assert sum(isinstance(layer, nn.Sigmoid) for layer in model.modules()) == 6


@pytest.mark.parametrize("hidden", [(), (12,), (20, 10)])
def test_the_code_is_all_that_gets_through(hidden):
    model = Autoencoder(input_shape=SHAPE, hidden=hidden, code=4)
    images = torch.rand(5, *SHAPE)
    codes = model.code(model.encoder(images.flatten(1)))
    assert codes.shape == (5, 4)
    assert torch.equal(model(images), model.head(model.decoder(codes)).view(5, *SHAPE))


def test_every_unit_starts_with_as_many_weights_as_asked_for():
    torch.manual_seed(0)
    model = Autoencoder(input_shape=SHAPE, hidden=(400, 300), code=10, sparse_init=15)
    drawn = []
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            kept = layer.weight != 0
            assert kept.sum(1).tolist() == [min(15, layer.in_features)] * layer.out_features
            assert not layer.bias.any()
            drawn.append(layer.weight[kept])
    values = torch.cat(drawn)
    assert len(values) > 10_000
    assert abs(values.mean()) < 0.04
    assert abs(values.std() - 1) < 0.04
    rows = [tuple(row.nonzero().flatten().tolist()) for row in model.encoder[0][0].weight]
    assert len(set(rows)) > 390, "each unit draws its own inputs"


def test_without_sparse_weights_the_layers_are_as_torch_makes_them():
    torch.manual_seed(0)
    model = Autoencoder(input_shape=SHAPE, hidden=(12,), code=4, sparse_init=0)
    torch.manual_seed(0)
    first = nn.Linear(144, 12)
    assert torch.equal(model.encoder[0][0].weight, first.weight)
    assert (model.encoder[0][0].weight != 0).all()


def test_a_named_initialisation_replaces_the_sparse_one():
    model = Autoencoder(input_shape=SHAPE, hidden=(40,), code=4)
    assert not model.encoder[0][0].weight.all()
    initialise(model, "xavier")
    assert model.encoder[0][0].weight.all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": [10, 0]}, r"hidden=\[10, 0\]"),
        ({"code": 0}, "code=0"),
        ({"sparse_init": -1}, "sparse_init=-1"),
        ({"activation": "sigmod"}, "did you mean sigmoid"),
    ],
)
def test_an_autoencoder_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        Autoencoder(input_shape=SHAPE, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": [-1]}, r"hidden=\[-1\]"),
        ({"latent": 0}, "latent=0"),
        ({"activation": "rel"}, "did you mean relu"),
    ],
)
def test_a_vae_refuses(settings, message):
    with pytest.raises(ValueError, match=message):
        VAE(input_shape=SHAPE, **settings)


@pytest.fixture
def vae():
    torch.manual_seed(0)
    return VAE(input_shape=SHAPE, hidden=(20, 10), latent=4)


def test_a_vae_decodes_the_mean_and_so_many_deviations(vae):
    images, noise = torch.rand(5, *SHAPE), torch.randn(5, 4)
    logits, mean, log_var = vae(images, noise)
    assert logits.shape == images.shape
    assert mean.shape == log_var.shape == (5, 4)
    deviation = log_var.exp().sqrt()
    assert torch.allclose(logits, vae.decode(mean + noise * deviation), atol=1e-6)


def test_a_vae_draws_its_noise_in_training_only(vae):
    images = torch.rand(5, *SHAPE)
    torch.manual_seed(1)
    first = vae(images)[0]
    assert not torch.equal(vae(images)[0], first)
    torch.manual_seed(1)
    assert torch.equal(vae(images)[0], first)
    torch.manual_seed(1)
    assert torch.equal(vae(images, torch.randn(5, 4))[0], first)

    vae.eval()
    before = torch.get_rng_state()
    logits, mean, _ = vae(images)
    assert torch.equal(logits, vae.decode(mean))
    assert torch.equal(torch.get_rng_state(), before)


def test_all_of_a_vae_learns(vae):
    logits, mean, log_var = vae(torch.rand(5, *SHAPE), torch.randn(5, 4))
    (logits.sum() + mean.square().sum() + log_var.square().sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in vae.parameters())
