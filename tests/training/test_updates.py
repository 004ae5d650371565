"""Lazy terms, schedules and the moving average's half-life, against numpy."""

import math

import numpy as np
import paddle
import pytest
from conftest import assert_same_state
from paddle import nn

import ppgan_zoo
from ppgan_zoo.data.batches import Batch
from ppgan_zoo.errors import ConfigError
from ppgan_zoo.game import schedules
from ppgan_zoo.game.terms import Term, get_term
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.recipe.load import load_recipe, recipe_from
from ppgan_zoo.recipe.shipped import shipped_recipes
from ppgan_zoo.run.build import build_trainer
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.chance import Chance
from ppgan_zoo.training.ema import Ema
from ppgan_zoo.training.optimizers import make_optimizer

PIXELS = 4


class Generator(nn.Layer):
    def __init__(self, *, latent_dim=3, image_shape=(1, 2, 2)):
        super().__init__()
        self.latent_dim, self.image_shape = latent_dim, image_shape
        self.layer = nn.Linear(latent_dim, PIXELS)

    def forward(self, z):
        return self.layer(z).reshape([-1, 1, 2, 2])


class Discriminator(nn.Layer):
    def __init__(self, *, image_shape=(1, 2, 2)):
        super().__init__()
        self.layer = nn.Linear(PIXELS, 1)

    def forward(self, images):
        return self.layer(images.reshape([images.shape[0], -1]))


SPEC = GanSpec(name="linear", generator=Generator, discriminator=Discriminator, paper="none")


def gan():
    paddle.seed(3)
    return Gan(SPEC, Generator(), Discriminator())


def real_images(seed=0, count=4):
    return np.random.default_rng(seed).normal(size=(count, 1, 2, 2)).astype(np.float32)


def recorded(optimizer, layer):
    """Let an optimizer note each gradient of a layer's weight just before it steps on it."""
    gradients, step = [], optimizer.step

    def noting():
        gradients.append(layer.weight.grad.numpy().astype(np.float64))
        step()

    optimizer.step = noting
    return gradients


def adam(weight, gradients, rates, betas, epsilon=1e-8):
    """Adam by the book, with a rate and betas for each step.

    Its correction for the first steps is by the product of the betas so far; Paddle keeps
    that from one step to the next, so that a beta that changes counts from the step after.
    """
    first, second, powers = np.zeros_like(weight), np.zeros_like(weight), np.array(betas[0])
    for gradient, rate, pair in zip(gradients, rates, betas, strict=True):
        first = pair[0] * first + (1 - pair[0]) * gradient
        second = pair[1] * second + (1 - pair[1]) * gradient**2
        bias = np.sqrt(1 - powers[1]) / (1 - powers[0])
        weight = weight - rate * bias * first / (np.sqrt(second) + epsilon * np.sqrt(1 - powers[1]))
        powers = powers * np.array(pair)
    return weight


def adam_trainer(terms=(), **options):
    nets = gan()
    optimizer = make_optimizer(nets.discriminator, "adam", learning_rate=0.01, beta1=0.5, beta2=0.9)
    gradients = recorded(optimizer, nets.discriminator.layer)
    trainer = make_trainer(nets, terms=terms, discriminator_optimizer=optimizer, **options)
    return trainer, gradients


def test_a_lazy_term_has_a_step_of_its_own_under_the_corrected_adam():
    lazy = get_term("r1", weight=2.0, every_steps=4)
    trainer, gradients = adam_trainer([lazy])
    start = trainer.gan.discriminator.layer.weight.numpy().astype(np.float64)
    weights, scalars = [start], []
    for iteration in range(6):
        scalars.append(trainer.step(real_images(iteration)))
        weights.append(trainer.gan.discriminator.layer.weight.numpy())
    # Iterations 0 and 4 have a second step.
    assert len(gradients) == 6 + 2
    assert ["term/r1" in found for found in scalars] == [True, False, False, False, True, False]
    # R1 of w.x is ||w||^2 / 2: its gradient is w, times weight and interval.
    after_main = adam(start, gradients[:1], [0.01 * 4 / 5], [(0.5**0.8, 0.9**0.8)])
    np.testing.assert_allclose(gradients[1], 2.0 * 4 * after_main, rtol=1e-4)
    # StyleGAN2: c = k / (k + 1); the rate times c, the betas to the power c, in every step.
    wanted = adam(start, gradients, [0.01 * 0.8] * 8, [(0.5**0.8, 0.9**0.8)] * 8)
    np.testing.assert_allclose(weights[-1], wanted, rtol=1e-4, atol=1e-6)


def test_the_correction_counts_both_steps_of_an_alternating_update():
    lazy = get_term("r1", weight=2.0, every_steps=4)
    trainer, gradients = adam_trainer([lazy], discriminator_batch="alternating")
    start = trainer.gan.discriminator.layer.weight.numpy().astype(np.float64)
    for iteration in range(4):
        trainer.step(real_images(iteration))
    assert len(gradients) == 2 * 4 + 1
    c = 8 / 9
    wanted = adam(start, gradients, [0.01 * c] * 9, [(0.5**c, 0.9**c)] * 9)
    np.testing.assert_allclose(
        trainer.gan.discriminator.layer.weight.numpy(), wanted, rtol=1e-4, atol=1e-6
    )


def test_without_lazy_terms_adam_is_as_it_was_made():
    trainer, gradients = adam_trainer([get_term("r1", weight=2.0)])
    start = trainer.gan.discriminator.layer.weight.numpy().astype(np.float64)
    for iteration in range(3):
        trainer.step(real_images(iteration))
    assert len(gradients) == 3
    wanted = adam(start, gradients, [0.01] * 3, [(0.5, 0.9)] * 3)
    np.testing.assert_allclose(
        trainer.gan.discriminator.layer.weight.numpy(), wanted, rtol=1e-4, atol=1e-6
    )


def test_beta2_follows_its_schedule():
    changing = schedules.straight(0.9, 0.99, 0, 3)
    trainer, gradients = adam_trainer(discriminator_beta2=changing)
    start = trainer.gan.discriminator.layer.weight.numpy().astype(np.float64)
    for iteration in range(5):
        trainer.step(real_images(iteration))
    betas = [(0.5, b) for b in (0.9, 0.93, 0.96, 0.99, 0.99)]
    wanted = adam(start, gradients, [0.01] * 5, betas)
    np.testing.assert_allclose(
        trainer.gan.discriminator.layer.weight.numpy(), wanted, rtol=1e-4, atol=1e-6
    )


def state_of_a_resumed(make, images, broken_off, end):
    """Return the state of a trainer that was resumed, which is that of one that went through."""
    whole, first, second = make(), make(), make()
    for iteration in range(end):
        whole.step(images(iteration))
    for iteration in range(broken_off):
        first.step(images(iteration))
    second.load_state(first.state(), first.iteration)
    for iteration in range(broken_off, end):
        second.step(images(iteration))
    assert_same_state(whole.state(), second.state())
    return second.state()


def test_lazy_updates_resume_bit_for_bit():
    def trainer():
        terms = [get_term("r1", every_steps=3), get_term("lecam", every_steps=2)]
        return make_trainer(gan(), terms=terms, accumulate_steps=2, seed=5)

    assert "terms" in state_of_a_resumed(trainer, real_images, 4, 7)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
def test_weights_that_no_loss_teaches_keep_no_run_from_its_resume(optimizer):
    """InfoGAN's head that reads the codes, without the term that is of it."""

    def trainer():
        paddle.seed(3)
        gan = ppgan_zoo.create(
            "infogan", latent_dim=15, image_shape=(1, 8, 8),
            generator={"hidden_units": 8, "channels": (4, 4)},
            discriminator={"hidden_units": 8, "channels": (4, 4)},
        )  # fmt: skip
        optimizers = {
            f"{net}_optimizer": make_optimizer(getattr(gan, net), optimizer, learning_rate=1e-2)
            for net in ("generator", "discriminator")
        }
        return make_trainer(gan, terms=[], seed=5, **optimizers)

    def images(iteration):
        return np.random.default_rng(iteration).uniform(-1, 1, (4, 1, 8, 8)).astype(np.float32)

    state_of_a_resumed(trainer, images, 2, 4)


def test_a_step_that_was_broken_off_leaves_no_gradient(monkeypatch):
    """Ctrl-C in a notebook, between a backward pass and the optimizer's step."""
    clean, broken = make_trainer(gan(), seed=5), make_trainer(gan(), seed=5)
    clean.step(real_images(0))
    with monkeypatch.context() as patch:
        patch.setattr(type(broken.updates[0]), "_step", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            broken.step(real_images(0))
    broken.step(real_images(0))
    left, right = clean.state(), broken.state()
    for file, arrays in left.items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(array, right[file][key], err_msg=f"{file} {key}")


def _interrupt(self):
    raise KeyboardInterrupt


def test_a_term_of_g_is_in_gs_loss_and_may_be_lazy():
    seen = []

    def brightness(inputs):
        seen.append((inputs.iteration, inputs.code.z.shape, inputs.fake.images.stop_gradient))
        return inputs.fake.images.mean()

    for every_steps in (1, 2):
        seen.clear()
        term = Term("brightness", "none", brightness, 0.5, net="generator", every_steps=every_steps)
        trainer = make_trainer(gan(), terms=[term], generator_steps=1)
        found = [trainer.step(real_images(i)) for i in range(4)]
        due = [i for i in range(4) if i % every_steps == 0]
        assert seen == [(i, [4, 3], False) for i in due]
        assert [i for i in range(4) if "term/brightness" in found[i]] == due


@pytest.mark.parametrize(("term", "calls"), [("r1", 0), ("r2", 1)])
def test_a_lazy_update_makes_images_only_for_terms_that_look_at_them(term, calls):
    trainer = make_trainer(gan(), terms=[get_term(term, every_steps=2)], generator_steps=1)
    made = []
    trainer.gan.generator.register_forward_post_hook(lambda *_: made.append(1))
    trainer.step(real_images())
    assert len(made) == 2 + calls  # D's and G's own updates, then that of the term


def test_a_lazy_update_is_a_step_of_all_weights():
    """R1 of w.x says nothing of the bias, which Adam then forgets as it does the weight."""
    trainer, _ = adam_trainer([get_term("r1", every_steps=1000)])
    trainer.step(real_images())
    (update,) = (update for update in trainer.updates if update.net == "discriminator")
    powers = {key: array.item() for key, array in update.state().items() if "beta2_pow" in key}
    assert len(powers) == 2
    np.testing.assert_allclose(list(powers.values()), (0.9 ** (1000 / 1001)) ** 3, rtol=1e-5)


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        (schedules.straight(2.0, 1.0, 2, 4), [2, 2, 2, 1.5, 1, 1]),
        (schedules.half_cosine(0.0, 1.0, 1, 3), [0, 0, 0.5, 1, 1, 1]),
        (schedules.steps(8.0, (2, 4), 0.5), [8, 8, 4, 4, 2, 2]),
        (schedules.constant(3.0), [3] * 6),
        (3.0, [3] * 6),
    ],
)
def test_schedules(schedule, wanted):
    assert [schedules.at(schedule, i) for i in range(6)] == pytest.approx(wanted)


def test_half_life_is_counted_in_images_and_may_change():
    nets = gan()
    chance = Chance(0, None)
    ema = Ema(nets.generator, chance, half_life=64.0, warmup=2.0)
    assert ema.decay_at(10**6, 64) == pytest.approx(0.5)
    assert ema.decay_at(10**6, 16) == pytest.approx(0.5**0.25)
    assert ema.decay_at(0, 16) == pytest.approx(1 / 2)  # the ramp: (1 + t) / (warmup + t)
    changing = Ema(nets.generator, chance, half_life=schedules.straight(32.0, 64.0, 0, 10**6))
    assert changing.decay_at(10**6, 64) == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="give either decay or half_life"):
        Ema(nets.generator, chance, decay=0.9, half_life=64.0)
    with pytest.raises(ConfigError, match="give either decay or half_life"):
        Ema(nets.generator, chance)


def test_an_average_by_half_life_follows_its_formula():
    nets = gan()
    trainer = make_trainer(nets, ema_half_life=8.0, discriminator_steps=2)
    average = nets.generator.layer.weight.numpy().astype(np.float64)
    for iteration in range(20):
        trainer.step(real_images(iteration, 8))  # eight images: one half-life
        average = 0.5 * average + 0.5 * nets.generator.layer.weight.numpy()
    np.testing.assert_allclose(trainer.ema.generator.layer.weight.numpy(), average, atol=1e-6)


@pytest.mark.parametrize(
    ("recipe", "last"), [("r3gan_cifar10", 5e6), ("r3gan_ffhq64", 5e5), ("r3gan_imagenet32", 5e7)]
)
def test_the_averages_of_r3gan_reach_their_published_half_lives(recipe, last):
    loaded = load_recipe(shipped_recipes()[recipe])
    iterations, batch = loaded.ema.half_life.until_step, loaded.data.batch_size
    trainer = build_trainer(loaded, ppgan_zoo.create("gan_mlp"), loaded.training.iterations)
    halves = [
        batch * math.log(0.5) / math.log(trainer.ema.decay_at(iterations * quarter // 4, batch))
        for quarter in (1, 2, 4)
    ]
    wanted = [last * (1 - math.cos(math.pi * share)) / 2 for share in (0.25, 0.5, 1.0)]
    assert halves == pytest.approx(wanted, rel=2e-3)
    assert trainer.ema.decay_at(0, batch) < 1e-9  # at first, G as it is


def at_quarters(schedule):
    return [schedules.at(schedule, i) for i in (0, 100, 200, 400, 900)]


def test_the_schedules_of_r3gan_go_through_its_published_values():
    rate = schedules.cosine(2e-4, 400, final=0.25)
    assert at_quarters(rate) == pytest.approx([2e-4, 1.780330e-4, 1.25e-4, 5e-5, 5e-5], rel=1e-6)
    gamma = schedules.half_cosine(0.05, 0.005, 0, 400)
    assert at_quarters(gamma) == pytest.approx([0.05, 0.04340991, 0.0275, 0.005, 0.005], rel=1e-6)
    half_life = schedules.half_cosine(0.0, 5e6, 0, 400)
    assert at_quarters(half_life) == pytest.approx([0, 732_233, 2.5e6, 5e6, 5e6], rel=1e-6)


def test_a_rate_of_a_recipe_may_reach_its_last_value_before_the_end():
    section = {
        "learning_rate": 2e-4,
        "schedule": {"name": "cosine", "final": 0.25, "until_step": 400},
    }
    recipe = recipe_from(
        {
            "model": {"name": "gan_mlp"},
            "data": {"name": "mnist", "batch_size": 4},
            "optimizer": {"generator": section},
            "training": {"iterations": 1000},
        }
    )
    schedule = build_trainer(recipe, ppgan_zoo.create("gan_mlp"), 1000).updates[1].schedule
    assert [schedule(i) for i in (0, 200, 400, 999)] == pytest.approx([2e-4, 1.25e-4, 5e-5, 5e-5])


@pytest.mark.parametrize(
    ("terms", "same"),
    [(["wgan_gp"], True), (["one_sided_gp"], True), (["r1", "r2"], False), ([], False)],
)
def test_a_penalty_between_images_has_fakes_of_the_real_ones_classes(terms, same):
    """As in the code of WGAN-GP: in D's updates; G's are of any class."""
    nets = ppgan_zoo.create(
        "wgan_gp_resnet",
        num_classes=10,
        generator={"channels": (4, 4)},
        discriminator={"channels": (4, 4, 4, 4)},
    )
    seen = []
    nets.generator.register_forward_pre_hook(lambda layer, given: seen.append(given[1].numpy()))
    trainer = make_trainer(
        nets, objective="wasserstein", terms=terms, discriminator_steps=1, generator_steps=1, seed=2
    )
    seen.clear()
    labels = np.arange(20) % 10
    trainer.step(Batch(np.zeros((20, *nets.image_shape), np.float32), labels))
    of_d, of_g = seen
    assert (of_d == labels).all() == same
    assert (of_g != labels).any()


def test_g_learns_from_the_images_that_d_scores_highest():
    # D is a sum of pixels, G a linear map: the gradient of -mean D(G(z)) is minus the mean z.
    for share, kept in ((1.0, 8), (0.5, 4), (schedules.straight(1.0, 0.25, 0, 2), 5), (0.01, 1)):
        nets = gan()
        nets.discriminator.layer.weight.set_value(paddle.ones([PIXELS, 1]))
        optimizer = make_optimizer(nets.generator, "sgd", learning_rate=1e-6)
        gradients = recorded(optimizer, nets.generator.layer)
        trainer = make_trainer(
            nets, objective="hinge", generator_steps=1, generator_optimizer=optimizer,
            discriminator_optimizer=make_optimizer(nets.discriminator, "sgd", learning_rate=1e-9),
            top_share=share,
        )  # fmt: skip
        trainer.iteration = 1
        moment = trainer.chance.at(1)
        moment.code(8)  # D's
        z = moment.code(8).z.numpy().astype(np.float64)
        scores = (z @ nets.generator.layer.weight.numpy()).sum(1)
        trainer.step(real_images(0, 8))
        highest = np.argsort(-scores)[:kept]
        wanted = -np.tile(z[highest].mean(0)[:, None], (1, PIXELS))
        np.testing.assert_allclose(gradients[0], wanted, rtol=1e-4, atol=1e-6)


def test_pairs_go_with_the_fake_image_of_each():
    game = make_trainer(gan(), objective="relativistic_pairing", top_share=0.5).game
    fake, real = (
        paddle.to_tensor(np.array(v, np.float32)[:, None]) for v in ([1, 4, 3, 2], [5, 6, 7, 8])
    )
    kept_fake, kept_real = game._top(fake, real, Chance(0, None).at(0))
    assert sorted(kept_fake[:, 0].tolist()) == [3, 4]
    assert dict(zip(kept_fake[:, 0].tolist(), kept_real[:, 0].tolist(), strict=True)) == {
        4: 6,
        3: 7,
    }


def test_gradients_are_scaled_down_to_a_norm_of_all_of_them():
    def gradient_step(clip_norm):
        layer = nn.Linear(2, 1)
        layer.weight.set_value(paddle.zeros([2, 1]))
        layer.bias.set_value(paddle.zeros([1]))
        optimizer = make_optimizer(layer, "sgd", learning_rate=1.0, clip_norm=clip_norm)
        (layer(paddle.to_tensor([[3.0, 4.0]])) * 2.0).sum().backward()  # gradients 6, 8; 2
        optimizer.step()
        return -np.concatenate([layer.weight.numpy()[:, 0], layer.bias.numpy()])

    np.testing.assert_allclose(gradient_step(None), [6, 8, 2])
    np.testing.assert_allclose(gradient_step(1e3), [6, 8, 2])
    np.testing.assert_allclose(
        gradient_step(0.5), 0.5 * np.array([6, 8, 2]) / np.sqrt(36 + 64 + 4), rtol=1e-5
    )


@pytest.mark.parametrize(("clean", "wanted"), [(True, [0.0, 1e5, -1e5, 2.0]), (False, None)])
def test_bad_numbers_in_a_gradient_are_replaced_if_asked_for(clean, wanted):
    nets = gan()
    optimizer = make_optimizer(nets.discriminator, "sgd", learning_rate=0.0)
    gradients = recorded(optimizer, nets.discriminator.layer)
    trainer = make_trainer(
        nets, discriminator_optimizer=optimizer, generator_steps=1, clean_gradients=clean
    )
    bad = paddle.to_tensor([[np.nan], [np.inf], [-np.inf], [2.0]])
    average = trainer.updates[0]._group.average_gradients

    class Group:
        def average_gradients(self, parameters):
            average(parameters)
            nets.discriminator.layer.weight.grad = bad

    trainer.updates[0]._group = Group()
    trainer.step(real_images())
    if clean:
        np.testing.assert_array_equal(gradients[0][:, 0], wanted)
    else:
        assert np.isnan(gradients[0][0, 0])


def test_recipes_say_all_of_these():
    recipe = recipe_from(
        {
            "model": {"name": "gan_mlp"},
            "data": {"name": "mnist", "batch_size": 4},
            "objective": {"top_share": {"name": "linear", "first": 1.0, "last": 0.5}},
            "optimizer": {"discriminator": {"clip_norm": 2.0}},
            "training": {"iterations": 11, "clean_gradients": True},
        }
    )
    trainer = build_trainer(recipe, ppgan_zoo.create("gan_mlp"), 11)
    assert schedules.at(trainer.game.top_share, 11) == 0.5
    clips = {update.net: update.optimizer._grad_clip for update in trainer.updates}
    assert clips["generator"] is None and clips["discriminator"].clip_norm == 2.0
    assert all(update.clean_gradients for update in trainer.updates)
