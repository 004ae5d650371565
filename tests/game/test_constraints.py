"""Constraints in the trainer, against numpy where there is a closed form, and refusals."""

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

import ppgan_zoo
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game.compatibility import check_output
from ppgan_zoo.game.objectives import get_objective
from ppgan_zoo.game.terms import get_term
from ppgan_zoo.game.view import View
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.models.weights import has_spectral_norm, spectral_norm
from ppgan_zoo.registry import OBJECTIVES, TERMS
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.chance import CONSTRAINT_DRAW
from ppgan_zoo.training.optimizers import make_optimizer

RATE = 0.1


class Generator(nn.Layer):
    def __init__(self, *, latent_dim=3, image_shape=(1, 4, 4)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.layer = nn.Linear(latent_dim, 16)

    def forward(self, z):
        return self.layer(z).reshape([-1, 1, 4, 4])


class Discriminator(nn.Layer):
    def __init__(self, *, image_shape=(1, 4, 4)):
        super().__init__()
        self.layer = nn.Linear(16 * image_shape[0], 1)
        self.seen = []

    def forward(self, images):
        self.seen.append(images.numpy())
        return self.layer(images.reshape([images.shape[0], -1]))


SPEC = GanSpec(name="linear", generator=Generator, discriminator=Discriminator, paper="none")


def gan(discriminator=None, **arguments):
    paddle.seed(3)
    generator = Generator()
    return Gan(SPEC, generator, discriminator or Discriminator(**arguments))


def sgd_trainer(nets=None, **options):
    nets = nets or gan()
    for net in ("generator", "discriminator"):
        optimizer = make_optimizer(getattr(nets, net), "sgd", learning_rate=RATE)
        options[f"{net}_optimizer"] = optimizer
    return make_trainer(nets, generator_steps=1, **options)


def real_images(count=8, seed=5):
    return np.random.default_rng(seed).uniform(-1, 1, (count, 1, 4, 4)).astype(np.float32)


def d_weight(trainer):
    return trainer.gan.discriminator.layer.weight.numpy()


def state_bytes(trainer):
    return {
        (file, key): array.tobytes()
        for file, arrays in trainer.state().items()
        for key, array in arrays.items()
    }


def test_r1_pulls_a_linear_d_to_zero_by_its_weight():
    plain, held = sgd_trainer(), sgd_trainer(terms=[get_term("r1", 2.0)])
    start = d_weight(plain)
    plain.step(real_images())
    scalars = held.step(real_images())
    # R1 of w.x is ||w||^2 / 2, and its gradient is w.
    np.testing.assert_allclose(d_weight(held), d_weight(plain) - RATE * 2 * start, atol=1e-6)
    assert float(scalars["term/r1"]) == pytest.approx((start**2).sum() / 2, rel=1e-5)


def test_weights_of_d_are_clipped_and_running_statistics_are_not():
    nets = ppgan_zoo.create("dcgan_fashion", discriminator={"channels": 4})
    before = nets.generator.up2.weight.numpy()
    noise = np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)
    make_trainer(nets, weight_clip=0.001).step(noise)
    for parameter in nets.discriminator.parameters():
        if not parameter.stop_gradient:
            assert np.abs(parameter.numpy()).max() <= np.float32(0.001)
    assert nets.discriminator.norm2._variance.numpy().max() > 0.01
    assert np.abs(before).max() > 0.01
    assert np.abs(nets.generator.up2.weight.numpy()).max() > 0.01


def test_real_and_fake_reach_d_alike_through_the_view():
    view = View(augment=("cutout",), noise_std=0.5)
    trainer = sgd_trainer(view=view, objective="relativistic_pairing")
    trainer.gan.discriminator.seen.clear()
    trainer.step(real_images())
    # D: fake, real; G: real, fake. Each draws on its own, in the order in which it is made.
    rng = np.random.default_rng((0, CONSTRAINT_DRAW, 0))
    view(paddle.zeros([8, 1, 4, 4]), 0, rng)
    wanted = view(paddle.to_tensor(real_images()), 0, rng).numpy()
    both, real_again, fake_again = trainer.gan.discriminator.seen
    real, fake = np.split(both, 2)
    np.testing.assert_array_equal(real, wanted)
    assert not np.array_equal(real, real_again)
    assert not np.array_equal(fake, fake_again)


def test_gradients_reach_g_through_augmentation_and_packing():
    nets = gan(image_shape=(2, 4, 4))
    view = View(augment=("color", "translation", "cutout"), noise_std=0.1, packing=2)
    trainer = sgd_trainer(nets, view=view)
    before = nets.generator.layer.weight.numpy()
    trainer.step(real_images())
    assert not np.array_equal(nets.generator.layer.weight.numpy(), before)


def test_instance_noise_falls_in_a_straight_line_to_nothing():
    view = View(noise_std=0.4, noise_until=100)
    stds = [view.noise_std_at(iteration) for iteration in (0, 50, 100, 500)]
    assert stds == pytest.approx([0.4, 0.2, 0.0, 0.0])
    assert View(noise_std=0.4).noise_std_at(10**6) == 0.4
    images, rng = paddle.zeros([64, 1, 32, 32]), np.random.default_rng(1)
    noisy = view(images, 50, rng).numpy()
    assert noisy.std() == pytest.approx(0.2, rel=0.02) and abs(noisy.mean()) < 0.005
    assert view(images, 100, rng) is images


def test_packing_stacks_neighbours_along_the_channels():
    images = np.arange(4 * 3 * 4).reshape(4, 3, 2, 2).astype(np.float32)
    packed = View(packing=2)(paddle.to_tensor(images), 0, np.random.default_rng(0)).numpy()
    assert packed.shape == (2, 6, 2, 2)
    np.testing.assert_array_equal(packed[1], np.concatenate([images[2], images[3]]))
    with pytest.raises(ConfigError, match="batch of 4 images is not a multiple of 3"):
        View(packing=3)(paddle.to_tensor(images), 0, np.random.default_rng(0))


@pytest.mark.parametrize("objective", ["non_saturating", "wasserstein", "relativistic_pairing"])
def test_accumulated_parts_make_the_whole_batch_s_update(objective):
    whole = sgd_trainer(objective=objective, terms=["r1"])
    parts = sgd_trainer(objective=objective, terms=["r1"], accumulate_steps=4)
    parts.gan.discriminator.seen.clear()
    for seed in range(3):
        of_whole, of_parts = (t.step(real_images(seed=seed)) for t in (whole, parts))
        assert of_whole.keys() == of_parts.keys()
        for key in of_whole:
            assert float(of_whole[key]) == pytest.approx(float(of_parts[key]), abs=1e-5), key
    assert parts.gan.discriminator.seen[0].shape[0] == 2  # of eight real images, a part
    for net in ("generator", "discriminator"):
        left, right = (t.gan.nets[net].layer.weight.numpy() for t in (whole, parts))
        np.testing.assert_allclose(left, right, atol=1e-6)
    with pytest.raises(ConfigError, match="batch of 8 images does not divide into 3"):
        sgd_trainer(accumulate_steps=3).step(real_images())
    with pytest.raises(ConfigError, match="accumulate_steps must be at least 1"):
        sgd_trainer(accumulate_steps=0)


def spectral_trainer(seed, name="dcgan_fashion", **options):
    paddle.seed(seed)
    nets = ppgan_zoo.create(name, generator={"channels": 4}, discriminator={"channels": 4})
    for layer in (nets.generator, nets.discriminator):
        spectral_norm(layer)
    return make_trainer(nets, seed=3, **options)


def normalised(net, name):
    """Return layers with spectral norm, and their weights as matrices of [out, in]."""
    layers = [part for part in net.sublayers() if hasattr(part, "weight_orig")]
    assert len(layers) == 3
    pairs = []
    for layer in layers:
        weight = getattr(layer, name).numpy()
        if isinstance(layer, (nn.Linear, nn.Conv2DTranspose)):
            weight = np.swapaxes(weight, 0, 1)
        pairs.append((layer, weight.reshape(len(weight), -1)))
    return pairs


def test_spectral_norm_brings_every_weight_to_norm_1(batches):
    trainer = spectral_trainer(1).fit(batches, iterations=12)
    for net in (trainer.gan.generator, trainer.gan.discriminator):
        assert has_spectral_norm(net)
        for _, matrix in normalised(net, "weight"):
            sigma = np.linalg.svd(matrix, compute_uv=False)[0]
            assert sigma == pytest.approx(1.0, abs=0.05)


def test_spectral_norm_goes_on_bit_for_bit_in_another_trainer(batches):
    whole = spectral_trainer(1, ema_decay=0.9).fit(batches, iterations=4)
    first = spectral_trainer(1, ema_decay=0.9).fit(batches, iterations=2)
    second = spectral_trainer(2, ema_decay=0.9)
    second.load_state(first.state(), first.iteration)
    np.testing.assert_array_equal(second.samples(4), first.samples(4))
    second.fit(batches, iterations=4)
    assert state_bytes(whole) == state_bytes(second)
    for layer, matrix in normalised(whole.ema.generator, "weight_orig"):
        u, v = layer.weight_u.numpy(), layer.weight_v.numpy()
        largest = np.linalg.svd(matrix, compute_uv=False)[0]
        # They fit the average; those of the last update give 0.975 of it in the first layer.
        assert u @ matrix @ v == pytest.approx(largest, rel=0.01)


# What makes no sense together.


class Bounded(Discriminator):
    def forward(self, images):
        return super().forward(images).tanh().reshape([-1, 1])


@pytest.mark.parametrize("objective", OBJECTIVES.names())
def test_a_d_of_bounded_output_is_refused(objective):
    nets, objective = gan(Bounded()), get_objective(objective)
    if objective.name == "least_squares":
        (warning,) = check_output(nets, objective)
        assert "ends in tanh" in warning
    else:
        with pytest.raises(ConfigError, match=r"linear's discriminator ends in tanh, .*logits"):
            check_output(nets, objective)
    assert check_output(gan(), objective) == []


@pytest.mark.parametrize(
    "name",
    [term.name for term in TERMS.all() if term.of_gradient and term.net == "discriminator"],
)
def test_clipping_together_with_a_gradient_penalty_is_refused(name):
    with pytest.raises(ConfigError, match=f"gradient penalty {name} do the same job"):
        sgd_trainer(weight_clip=0.01, terms=[name])


def test_clipping_goes_with_penalties_that_are_none_of_gradients():
    assert sgd_trainer(weight_clip=0.01, terms=["lecam", "consistency"]).warnings == []
    with pytest.raises(ConfigError, match="must be above 0, found 0"):
        sgd_trainer(weight_clip=0.0)


def test_clipping_together_with_spectral_norm_is_refused():
    nets = gan()
    spectral_norm(nets.discriminator)
    with pytest.raises(ConfigError, match="spectral norm rescales the weights"):
        sgd_trainer(nets, weight_clip=0.01)


class Pooling(Discriminator):
    """Max-pools as Paddle does, without a second derivative."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2D(1, 4, 1)

    def forward(self, images):
        pooled = F.max_pool2d(self.convolution(images), 2, 2, return_mask=True)[0]
        return self.layer(pooled.reshape([images.shape[0], -1]))


@pytest.mark.parametrize("penalty", ["r1", "r2", "dragan"])
def test_a_d_without_double_gradient_is_refused_with_the_operation_s_name(penalty):
    nets = gan(Pooling())
    with pytest.raises(ConfigError, match="none of max_pool2d_with_index; use gan_mlp"):
        make_trainer(nets, terms=[penalty])
    assert all(p.grad is None for p in nets.discriminator.parameters())


def test_gradient_penalties_over_batch_norm_are_refused_or_warned_of():
    nets = ppgan_zoo.create("dcgan_fashion", discriminator={"channels": 4})
    for name in ("wgan_gp", "one_sided_gp", "zero_centered_gp"):
        with pytest.raises(ConfigError, match="has batch norm, which mixes.*gan_mlp"):
            make_trainer(nets, terms=[name])
    before = nets.discriminator.norm2._mean.numpy()
    for name in ("r1", "r2", "dragan"):
        (warning,) = make_trainer(nets, terms=[name]).warnings
        assert warning.startswith(f"terms: {name}") and "\n" not in warning
    np.testing.assert_array_equal(nets.discriminator.norm2._mean.numpy(), before)


def test_a_convolutional_d_without_batch_norm_takes_every_gradient_penalty():
    sizes = {"channels": 4, "batch_norm": False}
    images = np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)
    for name in ("wgan_gp", "one_sided_gp", "zero_centered_gp", "dragan", "r1", "r2"):
        nets = ppgan_zoo.create("dcgan_fashion", generator={"channels": 4}, discriminator=sizes)
        trainer = make_trainer(nets, terms=[name])
        assert not trainer.warnings
        assert np.isfinite(float(trainer.step(images)["loss/discriminator"]))


def test_wasserstein_with_nothing_to_bound_d_is_warned_of():
    (warning,) = sgd_trainer(objective="wasserstein").warnings
    assert "wasserstein needs a D of bounded slope" in warning
    normalised = gan()
    spectral_norm(normalised.discriminator)
    for nets, options in [
        (None, {"weight_clip": 0.01}),
        (None, {"terms": ["wgan_gp"]}),
        (normalised, {}),
    ]:
        assert sgd_trainer(nets, objective="wasserstein", **options).warnings == []
    assert sgd_trainer().warnings == []


def test_spectral_norm_of_a_weight_that_begins_at_zero_is_refused():
    gan = ppgan_zoo.create("r3gan")
    with pytest.raises(ConfigError, match="project.weight of R3GANDiscriminator begins at zero"):
        spectral_norm(gan.discriminator)
