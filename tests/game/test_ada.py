"""ADA: the pipeline against an independent one in NumPy, and the controller by worked numbers."""

import numpy as np
import paddle
import pytest
from reference import ada_numpy as oracle

import ppgan_zoo
from ppgan_zoo.errors import CheckpointError, ConfigError
from ppgan_zoo.game import ada
from ppgan_zoo.game.ada import AdaptiveProbability, bgc, moving, recoloured, resampled, scaling
from ppgan_zoo.game.augmentation import augment, get_augmentation
from ppgan_zoo.game.view import View
from ppgan_zoo.training.assemble import make_trainer


def images(shape=(3, 3, 12, 16)):
    return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def moved(inverse, x=None):
    x = images() if x is None else x
    if len(inverse) == 1:
        inverse = np.repeat(inverse, len(x), axis=0)
    return resampled(paddle.to_tensor(x), inverse).numpy()


ONE = np.ones(1)


# Geometry: one map, one resampling.


def test_the_identity_leaves_images_as_they_are():
    np.testing.assert_allclose(moved(scaling(ONE, ONE)), images(), atol=1e-5)
    # So does a probability so low that nothing is drawn, and one of 0 at once.
    x = paddle.to_tensor(images())
    np.testing.assert_allclose(bgc(x, np.random.default_rng(0), 1e-12).numpy(), images(), atol=1e-5)
    assert bgc(x, np.random.default_rng(0), 0.0) is x


def test_flips_and_quarter_turns_are_numpys():
    # The filter is not quite symmetric, so that fine detail differs a little; this has none.
    rows, columns = np.arange(12)[:, None], np.arange(16)
    x = (np.sin(0.4 * rows) * np.cos(0.3 * columns + 1.0))[None, None].astype(np.float32)
    np.testing.assert_allclose(moved(scaling(-ONE, ONE), x), x[..., ::-1], atol=0.06)
    np.testing.assert_allclose(moved(scaling(ONE, -ONE), x), x[:, :, ::-1], atol=0.06)
    turned = moved(ada.turning(np.pi / 2 * ONE), x[..., :12])
    np.testing.assert_allclose(turned, np.rot90(x[..., :12], 1, axes=(2, 3)), atol=0.06)


def test_whole_steps_fill_up_by_the_mirror_image():
    found = moved(moving(np.array([[-3.0, 2.0]])))
    padded = np.pad(images(), ((0, 0), (0, 0), (0, 2), (3, 0)), mode="reflect")
    # From place + (-3, 2): what was there 3 to the left and 2 below.
    np.testing.assert_allclose(found, padded[:, :, 2:14, :16], atol=1e-5)


def test_a_smooth_image_is_scaled_and_turned_about_its_middle():
    side = 33
    axis = np.arange(side) - (side - 1) / 2
    y, x = np.meshgrid(axis, axis, indexing="ij")

    def blob(x, y):
        return np.exp(-((x - 3) ** 2 + 2 * (y + 2) ** 2) / 40)[None, None]

    angle = 0.3
    inverse = (
        scaling(ONE / 1.2, ONE / 0.9) @ ada.turning(angle * ONE) @ moving(np.array([[0.4, -1.3]]))
    )
    found = moved(inverse, blob(x, y).astype(np.float32))
    u, v = x + 0.4, y - 1.3
    u, v = np.cos(angle) * u - np.sin(angle) * v, np.sin(angle) * u + np.cos(angle) * v
    # Between pixels of the doubled image, lines: exact to the second derivative.
    np.testing.assert_allclose(found, blob(u / 1.2, v / 0.9), atol=0.01)


def test_gradients_reach_the_images_and_are_the_transposed_map():
    x = paddle.to_tensor(images())
    x.stop_gradient = False
    pull = np.random.default_rng(3).standard_normal(x.shape).astype(np.float32)
    out = bgc(x, np.random.default_rng(4), 0.8)
    (gradient,) = paddle.grad((out * paddle.to_tensor(pull)).sum(), x)
    step = np.random.default_rng(5).standard_normal(x.shape).astype(np.float32)
    other = bgc(x + paddle.to_tensor(step), np.random.default_rng(4), 0.8)
    rise = ((other - out).numpy().astype(np.float64) * pull).sum()  # it is linear in the image
    np.testing.assert_allclose((gradient.numpy() * step).sum(), rise, rtol=1e-3)


# The draws, each by itself.

COUNT, HEIGHT, WIDTH = 40_000, 8_000, 16_000  # so large that few whole steps are none
SIDES = np.array([WIDTH, HEIGHT])

# What a draw is measured by, 0 where the image stays as it is; and its standard deviation, or its
# bound if it is uniform.
NORMAL = {
    "size": (np.log2, 0.2),
    "uneven": (np.log2, 0.2),
    "shift": (lambda pixels: pixels / SIDES, 0.125),
    "brightness": (np.asarray, 0.2),
    "contrast": (np.log2, 0.5),
    "saturation": (np.log2, 1.0),
}
UNIFORM = {
    "steps": (lambda pixels: pixels / SIDES, 0.125),
    "first": (np.asarray, np.pi),
    "second": (np.asarray, np.pi),
    "hue": (np.asarray, np.pi),
}
SMALL_P = 0.3
BLIT, COLOURS = {"flip", "turns", "steps"}, set(ada.Colours._fields)


def drawn(blit, geometry, color, seed=0):
    rng = np.random.default_rng(seed)
    moves = ada.drawn_moves(COUNT, HEIGHT, WIDTH, rng, blit, geometry)
    return {**moves._asdict(), **ada.drawn_colours(COUNT, rng, color)._asdict()}


def happened(draws):
    """Whether each image is changed, by the name of the draw."""
    untouched = dict.fromkeys(("flip", "size", "uneven", "contrast", "saturation"), 1.0)
    return {
        name: (values != untouched.get(name, 0.0)).reshape(COUNT, -1).any(axis=1)
        for name, values in draws.items()
    }


def share_of(name, p):
    """The published share of images that a draw changes."""
    if name in ("first", "second"):  # of the two, one or the other with probability p
        return 1.0 - np.sqrt(1.0 - p)
    return p * {"flip": 1 / 2, "turns": 3 / 4, "inverted": 1 / 2}.get(name, 1.0)


def assert_share(found, wanted, what):
    five_deviations = 5.0 * np.sqrt(wanted * (1.0 - wanted) / COUNT)
    assert abs(found - wanted) <= five_deviations + 1e-9, what


@pytest.mark.parametrize("p", [SMALL_P, 1.0])
@pytest.mark.parametrize("name", [*NORMAL, *UNIFORM])
def test_the_share_and_the_spread_of_each_draw(name, p):
    measure, extent = {**NORMAL, **UNIFORM}[name]
    std = extent / np.sqrt(3.0) if name in UNIFORM else extent
    draws = drawn(p, p, p)
    changed = happened(draws)[name]
    assert_share(changed.mean(), share_of(name, p), name)
    for values in measure(draws[name])[changed].reshape(changed.sum(), -1).T:
        farthest = np.abs(values).max()
        if name in UNIFORM:
            assert 0.995 * extent < farthest <= extent
            # Uniform: as much in each tenth.
            tenths = np.histogram(values, 10, (-extent, extent))[0] / len(values)
            np.testing.assert_allclose(tenths, 0.1, atol=0.02)
        else:
            assert 3.3 * std < farthest < 6.0 * std
            assert np.mean(np.abs(values) < std) == pytest.approx(0.683, abs=0.02)
        assert values.std() == pytest.approx(std, rel=0.03)
        assert abs(values.mean()) < 0.06 * std


@pytest.mark.parametrize("p", [SMALL_P, 1.0])
def test_mirroring_turns_and_inversion_are_as_likely_as_not(p):
    draws = drawn(p, p, p)
    assert set(draws["flip"]) == {-1.0, 1.0}
    assert_share((draws["flip"] == -1.0).mean(), p / 2, "flip")
    assert_share(draws["inverted"].mean(), p / 2, "inverted")
    for turns, share in enumerate((1 - 3 * p / 4, p / 4, p / 4, p / 4)):
        assert_share((draws["turns"] == turns).mean(), share, f"{turns} turns")


def test_each_group_of_draws_has_its_own_probability_and_each_draw_its_own_chance():
    shares = {"blit": 0.2, "geometry": 0.5, "color": 0.8}
    changed = happened(drawn(**shares))
    assert len(changed) == 13
    for name, values in changed.items():
        group = "blit" if name in BLIT else "color" if name in COLOURS else "geometry"
        assert_share(values.mean(), share_of(name, shares[group]), name)
    together = np.corrcoef([*changed.values()]) - np.eye(len(changed))
    assert np.abs(together).max() < 5.0 / np.sqrt(COUNT)
    again = drawn(**shares)
    for name, values in drawn(**shares).items():
        np.testing.assert_array_equal(values, again[name])


# The whole, against the reference.


def reference(x, seed, blit, geometry, color):
    """What the reference makes of the draws of a seed."""
    rng, (count, _, height, width) = np.random.default_rng(seed), x.shape
    moves = colours = None
    if blit or geometry:
        moves = ada.drawn_moves(count, height, width, rng, blit, geometry)._asdict()
    if color:
        colours = ada.drawn_colours(count, rng, color)._asdict()
    return oracle.bgc(x, moves, colours)


def assert_equal(found, wanted):
    """Equal, for images as bright as colour and contrast have made them."""
    np.testing.assert_allclose(found, wanted, atol=1e-5 * max(1.0, np.abs(wanted).max()))


@pytest.mark.parametrize("p", [0.5, 1.0])
@pytest.mark.parametrize("shape", [(8, 3, 12, 12), (8, 3, 9, 14), (8, 1, 13, 7), (8, 1, 5, 5)])
def test_the_pipeline_is_the_references(shape, p):
    for seed in range(3):
        x = images(shape)
        found = bgc(paddle.to_tensor(x), np.random.default_rng(seed), p).numpy()
        assert_equal(found, reference(x, seed, p, p, p))


@pytest.mark.parametrize("name", [*ada.Moves._fields, *ada.Colours._fields])
def test_each_change_alone_is_the_references(name):
    x = images((8, 3, 9, 14))
    rng = np.random.default_rng(3)
    moves = ada.drawn_moves(8, 9, 14, rng, 1.0, 1.0)
    colours = ada.drawn_colours(8, rng, 1.0)
    still = ada.drawn_moves(8, 9, 14, rng, 0.0, 0.0)
    plain = ada.drawn_colours(8, rng, 0.0)
    if name in COLOURS:
        one = plain._replace(**{name: getattr(colours, name)})
        found = recoloured(paddle.to_tensor(x), one.maps(3)).numpy()
        wanted = oracle.bgc(x, None, one._asdict())
    else:
        one = still._replace(**{name: getattr(moves, name)})
        found = moved(one.inverse(), x)
        wanted = oracle.bgc(x, one._asdict(), None)
    assert np.abs(wanted - x).max() > 0.1
    assert_equal(found, wanted)


@pytest.mark.parametrize(
    "factors",
    [
        {"color": 0.5},
        {"blit": 0.5, "geometry": 0.25, "color": 0.75},
        {"geometry": 0.0, "color": 0.0},
        {"blit": 0.0, "color": 0.0},
        {"blit": 0.0, "geometry": 0.0},
    ],
    ids=str,
)
def test_a_group_has_its_factor_of_the_probability(factors):
    x = images((40, 3, 6, 7))
    augmentation = get_augmentation("bgc", **factors)
    found = augment(paddle.to_tensor(x), [augmentation], np.random.default_rng(2), 0.8).numpy()
    shares = {"blit": 0.8, "geometry": 0.8, "color": 0.8}
    shares.update({name: 0.8 * factor for name, factor in factors.items()})
    assert_equal(found, reference(x, 2, **shares))


def test_factors_out_of_range_are_refused():
    for value, words in ((1.5, "less than or equal to 1"), (-0.1, "greater than or equal to 0")):
        with pytest.raises(ConfigError, match=f"augment: bgc: color: found {value}; .*{words}"):
            get_augmentation("bgc", color=value)
    with pytest.raises(ConfigError, match="'colour' .did you mean 'color'.*blit, geometry, color"):
        get_augmentation("bgc", colour=0.5)
    with pytest.raises(ConfigError, match="cutout: has no argument 'color'; allowed: name$"):
        get_augmentation("cutout", color=0.5)


# Colour: one matrix.


def colour(maps, x):
    return recoloured(paddle.to_tensor(x), np.repeat(maps, len(x), axis=0)).numpy()


def test_colours_go_through_the_matrix():
    maps = np.random.default_rng(2).standard_normal((3, 3, 4))
    wanted = np.einsum("nij,njhw->nihw", maps[:, :, :3], images()) + maps[:, :, 3:, None]
    found = recoloured(paddle.to_tensor(images()), maps).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    grey = images((3, 1, 4, 4))
    means = maps.mean(axis=1)  # grey is the mean over the rows
    wanted = grey * means[:, :3].sum(axis=1)[:, None, None, None] + means[:, 3, None, None, None]
    np.testing.assert_allclose(recoloured(paddle.to_tensor(grey), maps).numpy(), wanted, atol=1e-5)
    two = paddle.to_tensor(images((3, 2, 4, 4)))
    with pytest.raises(ConfigError, match="1 or 3 channels, found 2; set its color to 0, or"):
        recoloured(two, maps)
    assert bgc(two, np.random.default_rng(0), 1.0, color=0.0).shape == two.shape


def test_drawn_colours_keep_grey_grey_and_turn_about_it():
    colours = ada.drawn_colours(3000, np.random.default_rng(0), 0.5)
    maps = colours.maps(3)
    grey = maps[:, :, :3] @ np.ones(3)
    np.testing.assert_allclose(grey, grey[:, :1].repeat(3, axis=1), atol=1e-9)
    # A colour without luma stays without, whatever happens.
    np.testing.assert_allclose((maps[:, :, :3] @ [1.0, -1.0, 0.0]).sum(axis=1), 0.0, atol=1e-9)
    plain = colours.maps(1)
    across = plain[:, :, :3] @ [1.0, -1.0, 0.0]
    factors = 2.0 ** (np.log2(np.abs(across[:, :1])))
    np.testing.assert_allclose(np.abs(across), np.array([[1.0, 1.0, 0.0]]) * factors, atol=1e-9)


# The controller.


def fed(controller, sign, batches, size=64):
    for _ in range(batches):
        controller.follow(paddle.to_tensor(sign), size)
    return controller.probability


def test_a_sign_that_is_no_number_moves_nothing():
    controller = AdaptiveProbability()
    before = fed(controller, 0.9, 4)
    assert fed(controller, float("nan"), 4) == before
    assert fed(controller, 0.9, 4) > before


def test_the_probability_moves_every_four_batches():
    controller = AdaptiveProbability()
    assert fed(controller, 0.9, 3) == 0.0
    np.testing.assert_allclose(fed(controller, 0.9, 1), 5.12e-4, rtol=1e-12)
    np.testing.assert_allclose(fed(controller, 0.9, 8), 3 * 5.12e-4, rtol=1e-12)
    np.testing.assert_allclose(fed(controller, 0.59, 4), 2 * 5.12e-4, rtol=1e-12)
    assert fed(controller, -1.0, 40) == 0.0  # never below 0


def test_it_would_go_from_0_to_1_in_so_many_images_and_is_capped():
    controller = AdaptiveProbability(images=64_000, most=1.0)
    np.testing.assert_allclose(fed(controller, 1.0, 500), 0.5, rtol=1e-9)
    np.testing.assert_allclose(fed(controller, 1.0, 500), 1.0, rtol=1e-9)
    controller = AdaptiveProbability(images=6_400)
    assert fed(controller, 1.0, 500) == 0.8


def test_its_state_goes_on_between_two_moves():
    whole, first, second = (AdaptiveProbability() for _ in range(3))
    fed(whole, 0.9, 11)
    fed(first, 0.9, 6)
    second.load_state(first.state())
    fed(second, 0.9, 5)
    for key, array in whole.state().items():
        assert array.tobytes() == second.state()[key].tobytes(), key
    with pytest.raises(CheckpointError, match="holds no state of an adaptive"):
        second.load_state({})


@pytest.mark.parametrize("options", [{"target": 1.0}, {"images": 0}, {"most": 0.0}, {"most": 1.1}])
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(ConfigError, match="constraints.augment_probability: target must be"):
        AdaptiveProbability(**options)


@pytest.mark.parametrize("names", [("bgc",), ("color", "translation", "cutout")])
def test_a_run_with_it_resumes_to_the_byte(names):
    def trainer():
        paddle.seed(0)
        gan = ppgan_zoo.create("gan_mlp", latent_dim=4, image_shape=(1, 8, 8))
        view = View(augment=names, augment_probability=AdaptiveProbability(images=200, target=-0.9))
        return make_trainer(gan, view=view, generator_steps=1)

    batch = images((4, 1, 8, 8))
    whole, first, second = trainer(), trainer(), trainer()
    for _ in range(13):
        scalars = whole.step(batch)
    for _ in range(10):
        first.step(batch)
    second.load_state(first.state(), 10)
    for _ in range(3):
        second.step(batch)
    assert whole.game.view.controller.probability > 0.0
    assert scalars["augment/probability"].item() == pytest.approx(whole.game.view.controller.probability)  # fmt: skip
    wanted, found = whole.state(), second.state()
    assert set(wanted["augmentation"]) == {"probability", "signs", "counts"}
    for file, arrays in wanted.items():
        for name, array in arrays.items():
            assert array.tobytes() == found[file][name].tobytes(), (file, name)


@pytest.mark.parametrize("objective", ["wasserstein", "relativistic_pairing"])
def test_objectives_whose_logits_have_no_middle_are_refused(objective):
    view = View(augment=("bgc",), augment_probability=AdaptiveProbability())
    with pytest.raises(ConfigError, match=f"which objective {objective} leaves free"):
        make_trainer(ppgan_zoo.create("gan_mlp"), objective=objective, view=view)


def test_an_augmentation_that_is_graded_gets_the_probability():
    x = paddle.to_tensor(images())
    one = augment(x, ["bgc"], np.random.default_rng(2), 0.6).numpy()
    np.testing.assert_array_equal(one, bgc(x, np.random.default_rng(2), 0.6).numpy())
