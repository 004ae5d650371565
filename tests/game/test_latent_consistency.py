"""Latent consistency against its formula, on nets that are products with matrices."""

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.terms import TermInputs, get_term
from ppgan_zoo.game.view import View
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.training.assemble import make_trainer


class Generator(nn.Layer):
    def __init__(self, *, latent_dim=3, image_shape=(1, 2, 2)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.layer = nn.Linear(latent_dim, 4)

    def forward(self, z):
        return self.layer(z).reshape([-1, 1, 2, 2])


class Discriminator(nn.Layer):
    def __init__(self, *, image_shape=(1, 2, 2)):
        super().__init__()
        self.layer = nn.Linear(4 * image_shape[0], 1)

    def forward(self, images):
        return self.layer(images.reshape([images.shape[0], -1]))


SPEC = GanSpec(name="linear", generator=Generator, discriminator=Discriminator, paper="none")
Z = np.random.default_rng(1).standard_normal((6, 3)).astype(np.float32)
SHOWN = Batch(paddle.zeros([6, 1, 2, 2]))  # as D was shown images; of no matter here


def inputs_of(gan, net, seed=5):
    code = Code(paddle.to_tensor(Z))
    rng = np.random.default_rng(seed)
    return TermInputs(gan.judge, SHOWN, SHOWN, rng, gan, code, net=net)


def test_it_is_its_formula_in_both_losses():
    gan = Gan(SPEC, Generator(), Discriminator())
    term = get_term("latent_consistency", std=0.2, discriminator=3.0, generator=2.0).ready()
    step = (
        0.2 * np.random.default_rng(5).standard_normal((6, 3)) @ gan.generator.layer.weight.numpy()
    )
    moved = step @ gan.discriminator.layer.weight.numpy()
    of_d, of_g = (term(inputs_of(gan, net)) for net in ("discriminator", "generator"))
    assert of_d.item() == pytest.approx(3.0 * np.square(moved).mean(), rel=1e-4)
    assert of_g.item() == pytest.approx(-2.0 * np.square(step).mean(), rel=1e-4)


class NoisyGenerator(Generator):
    def forward(self, z):
        noise = paddle.randn([z.shape[0], 4])
        return super().forward(z) + noise.reshape([-1, 1, 2, 2])


def test_chance_inside_g_is_the_same_for_both_codes():
    gan = Gan(SPEC, NoisyGenerator(), Discriminator())
    term = get_term("latent_consistency", std=1e-9).ready()
    for net in ("discriminator", "generator"):
        assert term(inputs_of(gan, net)).item() == pytest.approx(0.0, abs=1e-12)


def test_only_the_noise_in_z_is_moved():
    gan = ppgan_zoo.create("infogan", latent_dim=15, generator={"channels": (4, 4)})
    term = get_term("latent_consistency").ready()
    step = term._step(gan, paddle.zeros([6, 15]), np.random.default_rng(1)).numpy()
    assert np.abs(step[:, :3]).min() > 0.0  # then ten numbers of c1, one each of c2 and c3
    assert not step[:, 3:].any()


@pytest.mark.parametrize("net", ["discriminator", "generator"])
def test_the_net_learns_whose_loss_it_is_in(net):
    gan = Gan(SPEC, Generator(), Discriminator())
    get_term("latent_consistency").ready()(inputs_of(gan, net)).backward()
    for name, layer in gan.nets.items():
        gradient = layer.layer.weight.grad
        assert (gradient is not None and gradient.abs().max().item() > 0) == (name == net)


@pytest.mark.parametrize("options", [{}, {"view": View(packing=2)}, {"accumulate_steps": 2}])
def test_a_trainer_takes_it_in_both_losses(options):
    packing = options["view"].packing if "view" in options else 1
    gan = Gan(SPEC, Generator(), Discriminator(image_shape=(packing, 2, 2)))
    trainer = make_trainer(gan, terms=["latent_consistency"], generator_steps=1, **options)
    scalars = trainer.step(np.zeros((8, 1, 2, 2), np.float32))
    assert scalars["term/latent_consistency/discriminator"].item() > 0
    assert scalars["term/latent_consistency/generator"].item() < 0


def test_labels_go_with_both_codes():
    gan = ppgan_zoo.create(
        "gan_mlp",
        num_classes=3,
        generator={"hidden_units": (8,)},
        discriminator={"hidden_units": (8,)},
    )
    trainer = make_trainer(gan, terms=["latent_consistency"], generator_steps=1)
    scalars = trainer.step(Batch(np.zeros((6, 1, 28, 28), np.float32), np.arange(6) % 3))
    assert all(np.isfinite(value.item()) for value in scalars.values())


@pytest.mark.parametrize(
    ("argument", "words"),
    [({"std": 0.0}, "std is 0.0; give more than 0"), ({"generator": -1.0}, "generator is -1.0")],
)
def test_numbers_that_make_no_sense_are_refused(argument, words):
    with pytest.raises(ConfigError, match=words):
        get_term("latent_consistency", **argument).ready()
