"""The training step against a numpy implementation of the same two-layer GAN."""

from dataclasses import replace

import numpy as np
import paddle
import pytest
from conftest import assert_same_state
from paddle import nn
from paddle.nn import functional as F

import ppgan_zoo
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.objectives import LabelSmoothing
from ppgan_zoo.game.schedules import linear
from ppgan_zoo.game.view import View
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.models.layers import Dropout
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.registry import OBJECTIVES
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.chance import STATISTICS_DRAW, TRAINING_DRAW
from ppgan_zoo.training.loop import Callback
from ppgan_zoo.training.optimizers import make_optimizer
from ppgan_zoo.training.trainer import Trainer, own_arguments

LATENT, PIXELS, RATE = 3, 4, 0.1


class LinearGenerator(nn.Layer):
    def __init__(self, *, latent_dim=LATENT, image_shape=(1, 2, 2)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.layer = nn.Linear(latent_dim, PIXELS)
        self.seen, self.graphs = [], []

    def forward(self, z):
        self.seen.append(z.numpy())
        images = self.layer(z).reshape([-1, 1, 2, 2])
        self.graphs.append(not images.stop_gradient)
        return images


class LinearDiscriminator(nn.Layer):
    def __init__(self, *, image_shape=(1, 2, 2)):
        super().__init__()
        self.layer = nn.Linear(PIXELS, 1)
        self.batches, self.frozen, self.gradients = [], [], []

    def forward(self, images):
        self.batches.append(images.shape[0])
        self.frozen.append(self.layer.weight.stop_gradient)
        self.gradients.append(self.layer.weight.grad)
        return self.layer(images.reshape([-1, PIXELS]))


SPEC = GanSpec(
    name="linear", generator=LinearGenerator, discriminator=LinearDiscriminator, paper="none"
)


def linear_gan(seed=0):
    paddle.seed(seed)
    return Gan(SPEC, LinearGenerator(), LinearDiscriminator())


def sgd_trainer(gan=None, **options):
    gan = gan or linear_gan()
    for net in ("generator", "discriminator"):
        options.setdefault(
            f"{net}_optimizer", make_optimizer(getattr(gan, net), "sgd", learning_rate=RATE)
        )
    return make_trainer(gan, **options)


def real_images(count=4, seed=5):
    return np.random.default_rng(seed).normal(size=(count, 1, 2, 2)).astype(np.float32)


def weights(gan):
    nets = gan.generator.layer, gan.discriminator.layer
    return [p.numpy().astype(np.float64) for net in nets for p in (net.weight, net.bias)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_iteration(parameters, real, zs, order, smoothing=(0.0, 0.0)):
    """One iteration of the cross-entropy game by hand-derived gradients, with SGD.

    d/dlogit of BCE(sigmoid(logit), t) is sigmoid(logit) - t.
    """
    gw, gb, dw, db = parameters
    real = real.reshape(len(real), PIXELS).astype(np.float64)
    for net, z in zip(order, zs, strict=True):
        fake = z @ gw + gb
        fake_logits = fake @ dw + db
        if net == "D":
            to_real = (sigmoid(real @ dw + db) - (1 - smoothing[0])) / len(real)
            to_fake = sigmoid(fake_logits) / len(fake)
            dw, db = (
                dw - RATE * (real.T @ to_real + fake.T @ to_fake),
                db - RATE * (to_real.sum(0) + to_fake.sum(0)),
            )
        else:
            to_fake = (sigmoid(fake_logits) - (1 - smoothing[1])) / len(fake) @ dw.T
            gw, gb = gw - RATE * z.T @ to_fake, gb - RATE * to_fake.sum(0)
    return [gw, gb, dw, db]


def drawn(trainer, iteration, draws, count=4):
    latent = Latent(LATENT, "normal")
    return [
        latent.sample(count, trainer.chance.seed, TRAINING_DRAW, iteration, draw).astype(np.float64)
        for draw in draws
    ]


@pytest.mark.parametrize(
    ("options", "order", "draws"),
    [
        ({}, "DGG", [0, 1, 2]),
        ({"generator_steps": 1}, "DG", [0, 1]),
        ({"first": "generator", "generator_steps": 1}, "GD", [0, 1]),
        ({"shared_latent": True}, "DGG", [0, 0, 0]),
        ({"first": "generator", "shared_latent": True}, "GGD", [0, 0, 0]),
        ({"discriminator_batch": "concatenated"}, "DGG", [0, 1, 2]),
        ({"generator_batch_multiple": 2}, "DGG", [0, 1, 2]),
        ({"generator_batch_multiple": 3, "first": "generator"}, "GGD", [0, 1, 2]),
        ({"generator_batch_multiple": 2, "accumulate_steps": 2}, "DGG", [0, 1, 2]),
        ({"generator_batch_multiple": 2, "shared_latent": True}, "DGG", [0, 0, 0]),
    ],
)
def test_iterations_equal_the_gradients_derived_by_hand(options, order, draws):
    trainer = sgd_trainer(**options)
    expected = weights(trainer.gan)
    for iteration in range(3):
        zs = drawn(trainer, iteration, draws, 4 * options.get("generator_batch_multiple", 1))
        zs = [z[:4] if net == "D" else z for net, z in zip(order, zs, strict=True)]
        expected = numpy_iteration(expected, real_images(seed=iteration), zs, order)
        trainer.step(real_images(seed=iteration))
    for got, want in zip(weights(trainer.gan), expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_label_smoothing_moves_each_target_on_its_own():
    trainer = sgd_trainer(smoothing=LabelSmoothing(real=0.1, generator=0.2))
    expected = numpy_iteration(
        weights(trainer.gan), real_images(), drawn(trainer, 0, [0, 1, 2]), "DGG", (0.1, 0.2)
    )
    trainer.step(real_images())
    for got, want in zip(weights(trainer.gan), expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_each_discriminator_step_sees_its_own_real_images():
    trainer = sgd_trainer(discriminator_steps=3, generator_steps=1)
    real = real_images(12)
    expected = weights(trainer.gan)
    zs = drawn(trainer, 0, [0, 1, 2, 3])
    for step in range(3):
        part = real[4 * step : 4 * step + 4]
        expected = numpy_iteration(expected, part, [zs[step]], "D")
    expected = numpy_iteration(expected, real[8:], [zs[3]], "G")
    trainer.step(real)
    for got, want in zip(weights(trainer.gan), expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-6)


def test_scalars_are_the_losses_and_mean_scores():
    trainer = sgd_trainer(generator_steps=1)
    gw, gb, dw, db = weights(trainer.gan)
    z = drawn(trainer, 0, [0])[0]
    scalars = {key: float(value) for key, value in trainer.step(real_images()).items()}
    real = sigmoid(real_images().reshape(4, PIXELS) @ dw + db)
    fake = sigmoid((z @ gw + gb) @ dw + db)
    assert scalars["score/real"] == pytest.approx(real.mean(), abs=1e-6)
    assert scalars["score/fake"] == pytest.approx(fake.mean(), abs=1e-6)
    wanted = -np.log(real).mean() - np.log(1 - fake).mean()
    assert scalars["loss/discriminator"] == pytest.approx(wanted, abs=1e-5)


def test_no_work_is_wasted():
    gan = linear_gan()
    trainer = sgd_trainer(gan)
    gan.discriminator.frozen.clear()
    trainer.step(real_images())
    assert gan.generator.graphs == [False, True, True]  # no graph for G in D's update
    assert gan.discriminator.frozen == [False, True, True]  # no D gradients in G's
    assert all(gradient is None for gradient in gan.discriminator.gradients)
    assert not gan.discriminator.layer.weight.stop_gradient  # and thawed again


class NormalizedDiscriminator(LinearDiscriminator):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2D(1)

    def forward(self, images):
        return super().forward(self.norm(images))


class MeanDiscriminator(LinearDiscriminator):
    """Sees the images of a batch together, without a layer that says so."""

    def forward(self, images):
        return super().forward(images - images.mean(axis=0))


class DropoutDiscriminator(LinearDiscriminator):
    def forward(self, images):
        return super().forward(F.dropout(images, 0.5))


class PickyDiscriminator(LinearDiscriminator):
    def forward(self, images):
        return super().forward(images.reshape([4, 1, 2, 2]))


def batches_of_a_step(discriminator, **options):
    trainer = sgd_trainer(Gan(SPEC, LinearGenerator(), discriminator), **options)
    discriminator.batches.clear()
    trainer.step(real_images())
    return discriminator.batches


def test_separate_and_concatenated_batches_reach_d_as_such():
    assert batches_of_a_step(NormalizedDiscriminator()) == [4, 4, 4, 4]
    assert batches_of_a_step(NormalizedDiscriminator(), discriminator_batch="concatenated") == [
        8,
        4,
        4,
    ]


def test_a_d_to_which_one_batch_is_as_good_as_two_gets_one():
    assert batches_of_a_step(LinearDiscriminator()) == [8, 4, 4]
    assert batches_of_a_step(MeanDiscriminator()) == [4, 4, 4, 4]
    assert batches_of_a_step(DropoutDiscriminator()) == [4, 4, 4, 4]
    assert batches_of_a_step(PickyDiscriminator()) == [4, 4, 4, 4]
    normalised = LinearDiscriminator()
    nn.utils.spectral_norm(normalised.layer)  # a power iteration with every batch
    paddle.seed(3)
    assert batches_of_a_step(normalised) == [4, 4, 4, 4]


class NormalizedGenerator(LinearGenerator):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1D(LATENT)

    def forward(self, z):
        return super().forward(self.norm(z))


@pytest.mark.parametrize(
    ("kind", "options", "batches"),
    [
        (LinearGenerator, {}, [12, 4]),
        (LinearGenerator, {"discriminator_batch": "alternating"}, [12, 4]),
        (LinearGenerator, {"first": "generator"}, [4, 12]),
        (LinearGenerator, {"accumulate_steps": 2}, [2] * 8),
        (NormalizedGenerator, {}, [4, 4, 4, 4]),
    ],
)
def test_images_for_all_steps_of_d_are_made_at_once_if_g_allows(kind, options, batches):
    gan = Gan(SPEC, kind(), LinearDiscriminator())
    trainer = sgd_trainer(gan, discriminator_steps=3, generator_steps=1, **options)
    gan.generator.seen.clear()
    trainer.step(real_images(12))
    assert [len(z) for z in gan.generator.seen] == batches
    if kind is LinearGenerator:
        z = np.concatenate(drawn(trainer, 0, range(4)))
        np.testing.assert_allclose(np.concatenate(gan.generator.seen), z, rtol=1e-6)


@pytest.mark.parametrize("kind", [NormalizedDiscriminator, DropoutDiscriminator])
def test_making_a_trainer_leaves_nets_and_random_numbers_as_they_were(kind):
    gan = Gan(SPEC, LinearGenerator(), kind())
    paddle.seed(5)
    wanted = paddle.rand([3]).numpy()
    before = {name: array.numpy() for name, array in gan.discriminator.state_dict().items()}
    paddle.seed(5)
    sgd_trainer(gan)
    np.testing.assert_array_equal(paddle.rand([3]).numpy(), wanted)
    for name, array in gan.discriminator.state_dict().items():
        np.testing.assert_array_equal(array.numpy(), before[name])


def test_every_generator_update_draws_fresh_z():
    gan = linear_gan()
    trainer = sgd_trainer(gan)
    trainer.step(real_images())
    trainer.step(real_images())
    assert len({z.tobytes() for z in gan.generator.seen}) == 6


def test_d_is_thawed_even_if_g_fails():
    gan = linear_gan()
    trainer = sgd_trainer(gan, first="generator")
    with pytest.raises(ValueError, match="broken"):
        gan.generator.forward = lambda z: (_ for _ in ()).throw(ValueError("broken"))
        trainer.step(real_images())
    assert not gan.discriminator.layer.weight.stop_gradient


@pytest.mark.parametrize(("options", "warmup"), [({}, 10.0), ({"ema_warmup": 4.0}, 4.0)])
def test_ema_follows_its_formula(options, warmup):
    gan = linear_gan()
    trainer = sgd_trainer(gan, ema_decay=0.5, **options)
    average = weights(gan)[0]
    for iteration in range(4):
        trainer.step(real_images())
        decay = min(0.5, (1 + iteration) / (warmup + iteration))
        average = decay * average + (1 - decay) * weights(gan)[0]
    np.testing.assert_allclose(trainer.ema.generator.layer.weight.numpy(), average, atol=1e-6)


def test_a_warmup_of_2_makes_the_mean_of_all_iterations():
    gan = linear_gan()
    trainer = sgd_trainer(gan, ema_decay=0.999, ema_warmup=2)
    seen = [weights(gan)[0]]
    for _ in range(4):
        trainer.step(real_images())
        seen.append(weights(gan)[0])
    mean = np.mean(seen, axis=0)
    np.testing.assert_allclose(trainer.ema.generator.layer.weight.numpy(), mean, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"ema_warmup": 1.5}, "ema: warmup must be at least 2, found 1.5"),
        ({"ema_statistics_batches": 0}, "ema: statistics_batches must be at least 1, found 0"),
        ({"ema_statistics_batches": 1.5}, "ema: statistics_batches must be a whole number"),
        ({"ema_decay": 1.5}, "ema: decay is 1.5; give 0 or more, below 1"),
        ({"ema_decay": float("nan")}, "ema: decay is nan; give"),
        ({"ema_decay": None, "ema_half_life": -5}, "ema: half_life is -5; give images"),
    ],
)
def test_an_average_that_cannot_be_taken_is_refused(options, line):
    with pytest.raises(ConfigError, match=line):
        sgd_trainer(**{"ema_decay": 0.9, **options})


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"top_share": 0.0}, "objective: top_share is 0.0; give above 0, up to 1"),
        ({"top_share": 2.0}, "objective: top_share is 2.0; give above 0"),
        ({"generator_steps": 1.5}, "training: generator_steps must be a whole number, found 1.5"),
        ({"accumulate_steps": 2.0}, "accumulate_steps must be a whole number, found 2.0"),
    ],
)
def test_numbers_that_no_recipe_may_have_are_refused(options, line):
    with pytest.raises(ConfigError, match=line):
        sgd_trainer(**options)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"noise_std": float("nan")}, "instance_noise.std is nan; give 0 or more"),
        ({"noise_until": 0}, "instance_noise.until_step must be at least 1, found 0"),
        ({"packing": 0}, "constraints.packing must be at least 1, found 0"),
        ({"packing": 2.0}, "constraints.packing must be a whole number, found 2.0"),
        ({"augment_probability": 1.1}, "augment_probability is 1.1; give 0 or more, up to 1"),
    ],
)
def test_a_view_that_cannot_be_is_refused(options, line):
    with pytest.raises(ConfigError, match=line):
        View(**options)


class NormGenerator(LinearGenerator):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1D(PIXELS, momentum=0.7)
        self.dropout = Dropout(0.25)

    def forward(self, z):
        return self.dropout(F.relu(self.norm(self.layer(z)))).reshape([-1, 1, 2, 2])


def norm_trainer(**options):
    paddle.seed(0)
    return sgd_trainer(Gan(SPEC, NormGenerator(), LinearDiscriminator()), **options)


@pytest.mark.parametrize(("options", "count"), [({}, 16), ({"ema_statistics_batches": 3}, 3)])
def test_the_average_has_batch_statistics_of_its_own(options, count):
    trainer = norm_trainer(ema_decay=0.9, seed=7, **options)
    for _ in range(5):
        trainer.step(real_images(6))
    average = trainer.ema.generator
    z = trainer.chance.latent.sample(count * 6, 7, STATISTICS_DRAW)
    into_norm = z @ average.layer.weight.numpy() + average.layer.bias.numpy()
    batches = into_norm.reshape(count, 6, PIXELS).astype(np.float64)
    wanted = {"_mean": batches.mean(1).mean(0), "_variance": batches.var(1).mean(0)}
    for name, values in wanted.items():
        np.testing.assert_allclose(getattr(average.norm, name).numpy(), values, atol=1e-5)
        of_generator = getattr(trainer.gan.generator.norm, name).numpy()
        assert np.abs(of_generator - values).max() > 1e-2
    assert not average.training
    assert average.norm._momentum == 0.7


def test_the_statistics_of_the_average_do_not_disturb_training():
    watched, alone = (norm_trainer(ema_decay=0.9) for _ in range(2))
    for _ in range(3):
        for trainer in (watched, alone):
            trainer.step(real_images(6))
        before = watched.samples(4)
        np.testing.assert_array_equal(watched.samples(4), before)
    for name, arrays in alone.state().items():
        for key, values in arrays.items():
            np.testing.assert_array_equal(watched.state()[name][key], values, err_msg=key)


def test_schedule_sets_the_rate_of_each_net():
    trainer = sgd_trainer(generator_schedule=linear(1.0, 10), discriminator_schedule=None)
    for _ in range(6):
        trainer.step(real_images())
    rates = {update.net: update.optimizer.get_lr() for update in trainer.updates}
    assert rates == {"generator": pytest.approx(0.5), "discriminator": pytest.approx(RATE)}


@pytest.mark.parametrize("name", ["gan_mlp", "dcgan", "dcgan_fashion"])
def test_state_goes_on_bit_for_bit_in_another_trainer(name, batches):
    small = {
        "gan_mlp": {"generator": {"hidden_units": (16,)}, "discriminator": {"hidden_units": (16,)}},
        "dcgan": {
            "generator": {"hidden_units": 16, "channels": 8},
            "discriminator": {"channels": (4, 8), "hidden_units": 16},
        },
        "dcgan_fashion": {"generator": {"channels": 8}, "discriminator": {"channels": 8}},
    }[name]

    def trainer(seed):
        paddle.seed(seed)
        return make_trainer(ppgan_zoo.create(name, **small), ema_decay=0.9, seed=3)

    whole = trainer(1).fit(batches, iterations=4)
    first = trainer(1).fit(batches, iterations=2)
    nn.Linear(2, 2)  # shifts Paddle's automatic names
    second = trainer(2)
    second.load_state(first.state(), first.iteration)
    second.fit(batches, iterations=4)
    assert_same_state(whole.state(), second.state())


def test_state_of_another_model_is_refused():
    source = make_trainer(ppgan_zoo.create("gan_mlp", generator={"hidden_units": (8,)}))
    target = make_trainer(ppgan_zoo.create("gan_mlp", generator={"hidden_units": (9,)}))
    with pytest.raises(CheckpointError, match=r"shape \(100, 8\).*needs \(100, 9\)"):
        target.load_state(source.state(), 0)
    with pytest.raises(CheckpointError, match="ema"):
        make_trainer(source.gan, ema_decay=0.9).load_state(source.state(), 0)


def test_fit_calls_the_callbacks_in_order(batches):
    calls = []

    class Spy(Callback):
        def on_train_begin(self, trainer):
            calls.append("begin")

        def on_step_end(self, trainer, scalars):
            calls.append(trainer.iteration)

        def on_epoch_end(self, trainer):
            calls.append("epoch")

        def on_train_end(self, trainer, error):
            calls.append(("end", error))

    trainer = make_trainer(ppgan_zoo.create("gan_mlp"))
    trainer.fit(batches, epochs=1, callbacks=[Spy()])
    assert calls == ["begin", 1, 2, 3, "epoch", ("end", None)]


def test_a_failing_callback_still_lets_the_others_end(batches):
    ends = []

    class Failing(Callback):
        def on_step_end(self, trainer, scalars):
            raise RuntimeError("no")

        def on_train_end(self, trainer, error):
            ends.append(error)

    with pytest.raises(RuntimeError, match="no"):
        make_trainer(ppgan_zoo.create("gan_mlp")).fit(batches, iterations=2, callbacks=[Failing()])
    assert [str(error) for error in ends] == ["no"]


@pytest.mark.parametrize("options", [{}, {"epochs": 1, "iterations": 1}])
def test_fit_wants_one_length(options, batches):
    with pytest.raises(ConfigError, match="either iterations or epochs"):
        make_trainer(ppgan_zoo.create("gan_mlp")).fit(batches, **options)


def test_counts_below_one_are_refused():
    for net in ("generator", "discriminator"):
        with pytest.raises(ConfigError, match=f"training: {net}_steps must be at least 1, found 0"):
            make_trainer(linear_gan(), **{f"{net}_steps": 0})


@pytest.mark.parametrize("name", OBJECTIVES.names())
def test_the_halves_of_an_objective_add_up_to_it(name):
    objective = OBJECTIVES.get(name)
    assert (objective.halves is None) == objective.relativistic
    if objective.halves is None:
        return
    smoothing = LabelSmoothing(real=0.1, fake=0.05) if objective.smoothable else LabelSmoothing()
    real, fake = paddle.randn([6, 1]), paddle.randn([6, 1])
    paddle.seed(0)  # of margins that are drawn
    halves = [half(logits, smoothing) for half, logits in zip(objective.halves, (real, fake))]
    paddle.seed(0)
    whole = objective.discriminator_loss(real, fake, smoothing)
    np.testing.assert_allclose(sum(halves).item(), whole.item(), rtol=1e-6)


def test_alternating_is_a_step_on_real_and_then_one_on_fake_images():
    """As Keras's train_on_batch, once on each: here by hand, with plain gradient descent."""
    rate, count = 0.1, 5
    trainers = []
    for alternate in (True, False):
        paddle.seed(1)
        gan = ppgan_zoo.create(
            "gan_mlp",
            generator={"hidden_units": (8, 8)},
            discriminator={"hidden_units": (8,)},
        )
        nets = (gan.generator, gan.discriminator)
        sgd = [paddle.optimizer.SGD(rate, parameters=net.parameters()) for net in nets]
        trainers.append(
            make_trainer(
                gan,
                discriminator_batch="alternating" if alternate else "separate",
                generator_optimizer=sgd[0],
                discriminator_optimizer=sgd[1],
                seed=3,
            )
        )
    tested, hand = trainers
    real = np.random.default_rng(0).uniform(-1, 1, (count, 1, 28, 28)).astype(np.float32)
    generator_calls = []
    tested.gan.generator.register_forward_post_hook(lambda *_: generator_calls.append(1))
    scalars = tested.step(real)
    assert len(generator_calls) == 1 + 2  # fake images for D once, then G's two updates

    discriminator = hand.gan.discriminator
    fake = hand.gan.generate(hand.chance.at(0).code(count)).detach()
    losses = []
    for images, target in ((paddle.to_tensor(real), 1.0), (fake, 0.0)):
        logits = discriminator(images)
        loss = F.binary_cross_entropy_with_logits(logits, paddle.full_like(logits, target))
        loss.backward()
        losses.append(loss.item())
        with paddle.no_grad():
            for parameter in discriminator.parameters():
                parameter.set_value(parameter - rate * parameter.grad)
        discriminator.clear_gradients()
    for one, other in zip(
        tested.gan.discriminator.parameters(), discriminator.parameters(), strict=True
    ):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(scalars["loss/discriminator"].item(), sum(losses), rtol=1e-5)
    assert {"score/real", "score/fake"} <= set(scalars)


class Doubled(Game):
    """A game of its own loss."""

    def discriminator_loss(self, gan, real, fake, moment):
        loss, scalars = super().discriminator_loss(gan, real, fake, moment)
        return 2.0 * loss, scalars


def test_a_game_of_the_spec_is_played_and_says_that_it_is_not_accelerated():
    losses, trainers = [], []
    for game in (None, Doubled):
        gan = linear_gan()
        gan.spec = replace(SPEC, game=game)
        trainers.append(sgd_trainer(gan))
        losses.append(trainers[-1].step(real_images())["loss/discriminator"].item())
    np.testing.assert_allclose(losses[1], 2.0 * losses[0], rtol=1e-6)
    assert trainers[0].warnings == []
    (line,) = trainers[1].warnings
    assert "Doubled has its own loss" in line and "accelerated = True" in line
    for declared in (True, False):
        gan = linear_gan()
        kind = type("Declared", (Doubled,), {"accelerated": declared})
        gan.spec = replace(SPEC, game=kind)
        assert sgd_trainer(gan).warnings == []
        assert (type(gan.generator.layer) is not nn.Linear) == declared


@pytest.mark.parametrize(
    ("objective", "game", "words"),
    [
        ("relativistic_pairing", None, "relativistic_pairing compares real and fake images"),
        ("non_saturating", Doubled, "Doubled has a discriminator_loss of its own"),
    ],
)
def test_alternating_refuses_a_loss_that_is_no_sum_of_two(objective, game, words):
    gan = linear_gan()
    gan.spec = replace(SPEC, game=game)
    with pytest.raises(ConfigError, match=f"discriminator_batch: alternating .*{words}"):
        sgd_trainer(gan, objective=objective, discriminator_batch="alternating")


class ZeroDiscriminator(LinearDiscriminator):
    """Sees the images of a batch together, and begins with a last layer of zeros."""

    def __init__(self):
        super().__init__()
        self.layer.weight.set_value(paddle.zeros_like(self.layer.weight))

    def forward(self, images):
        return super().forward(images / images.std(axis=0))


def test_a_last_layer_of_zeros_hides_no_batch_statistics():
    assert batches_of_a_step(ZeroDiscriminator()) == [4, 4, 4, 4]


def test_a_net_may_declare_that_it_acts_row_by_row():
    declared = LinearDiscriminator()
    declared.acts_row_by_row = False
    assert batches_of_a_step(declared) == [4, 4, 4, 4]


def test_fit_goes_on_after_a_stop(batches):
    trainer = make_trainer(ppgan_zoo.create("gan_mlp", generator={"hidden_units": (8,)}))

    class Stop(Callback):
        def on_step_end(self, trainer, scalars):
            trainer.stop_requested = trainer.iteration == 2

    trainer.fit(batches, iterations=5, callbacks=[Stop()])
    assert trainer.iteration == 2
    trainer.fit(batches, iterations=5)
    assert trainer.iteration == 5


class Counter:
    def __init__(self):
        self.count = 0

    def state(self):
        return {"count": np.array([self.count])}

    def load_state(self, arrays):
        self.count = int(arrays["count"][0]) if arrays else 0


class PacedTrainer(Trainer):
    def __init__(self, gan, game, updates, ema, chance, *, pace: int = 1):
        super().__init__(gan, game, updates, ema, chance)
        self.pace, self.counter = pace, Counter()
        self.parts["counter"] = self.counter

    def step(self, batch):
        self.counter.count += self.pace
        return super().step(batch)


def test_a_trainer_of_a_plugin_takes_arguments_and_its_state_is_resumed():
    def paced():
        gan = linear_gan()
        gan.spec = replace(SPEC, trainer=PacedTrainer)
        return sgd_trainer(gan, options={"pace": 3})

    first = paced()
    first.step(real_images())
    second = paced()
    second.load_state(first.state(), first.iteration)
    second.step(real_images())
    assert second.counter.count == 6
    assert set(second.state()) >= {"generator", "discriminator", "counter"}
    assert list(own_arguments(PacedTrainer)) == ["pace"]
