"""What no loss teaches is warned of: heads of D, decoders, an encoder; and nothing else is."""

import numpy as np
import paddle
import pytest
from paddle import nn

import ppgan_zoo
from ppgan_zoo.game.game import Game
from ppgan_zoo.game.teaching import check_teaching
from ppgan_zoo.game.terms import Term, get_term
from ppgan_zoo.models.facts import build_model
from ppgan_zoo.models.gan import Gan, Judgement
from ppgan_zoo.models.gan_mlp import SPEC as DENSE
from ppgan_zoo.models.spec import GanSpec
from ppgan_zoo.recipe.load import load_recipe
from ppgan_zoo.recipe.shipped import shipped_recipes
from ppgan_zoo.registry import DATA, MODELS
from ppgan_zoo.run.build import PICTURE_SHAPE, build_trainer, facts_of
from ppgan_zoo.testing import tiny
from ppgan_zoo.training.trainer import Trainer

CLASSES = ("the layers classes of acgan's discriminator", "its class_logits")
CODES = ("the layers code1, code_norm1, code2 of infogan's discriminator", "its code")
CLASSIFY = ("the layers classify of wgan_gp_resnet's discriminator", "its class_logits")
DECODERS = (
    "the layers decoders of fastgan's discriminator", "its last, last_of_small, quartered",
)  # fmt: skip
ENCODER = ("bigan's encoder", "it")
LARGE = {
    "biggan_cifar", "own_128", "r3gan_cifar10", "r3gan_ffhq64", "r3gan_imagenet32", "sagan_cifar",
    "sngan_cifar", "stylegan2_auto_64", "stylegan2_cifar", "stylegan2_paper256",
}  # fmt: skip


def small(name, labels_by=None, **arguments):
    spec = MODELS.get(name)
    of_d = tiny(spec.discriminator) | ({"labels_by": labels_by} if labels_by else {})
    nets = {"generator": tiny(spec.generator), "discriminator": of_d}
    return ppgan_zoo.create(name, **nets, **arguments)


def warnings_of(gan, terms):
    return ppgan_zoo.make_trainer(gan, terms=terms).warnings


@pytest.mark.parametrize(
    ("model", "terms", "part", "remedy"),
    [
        ("acgan", [], CLASSES, "add auxiliary_classifier"),
        ("acgan", ["lecam"], CLASSES, "add auxiliary_classifier"),
        ("infogan", [], CODES, "add mutual_information"),
        ("bigan", [], ENCODER, "add bidirectional"),
        ("bigan", ["lecam", "orthogonal"], ENCODER, "add bidirectional"),
        ("fastgan", [], DECODERS, "add reconstruction"),
    ],
)
def test_terms_that_replace_the_models_own_and_teach_less_are_warned_of(model, terms, part, remedy):
    line = f"terms: nothing teaches {part[0]}, as no term with a weight above 0 uses {part[1]}; "
    assert warnings_of(small(model), terms) == [line + remedy]
    assert warnings_of(small(model), [*terms, *MODELS.get(model).terms]) == []


def test_a_classifier_that_the_models_own_terms_do_not_teach_is_warned_of():
    gan = small("wgan_gp_resnet", "classifier", num_classes=3)
    (line,) = warnings_of(gan, None)
    assert line.startswith(f"terms: nothing teaches {CLASSIFY[0]}, as no")
    assert line.endswith(f" uses {CLASSIFY[1]}; add auxiliary_classifier")
    assert warnings_of(gan, ["wgan_gp", "auxiliary_classifier"]) == []
    assert warnings_of(small("wgan_gp_resnet", "classifier"), None) == []  # without labels
    assert warnings_of(small("wgan_gp_resnet", num_classes=3), None) == []  # by projection


@pytest.mark.parametrize(
    ("model", "term"),
    [
        ("acgan", get_term("auxiliary_classifier", 0.0)),
        ("acgan", get_term("auxiliary_classifier", real=0.0, fake=0.0)),
        ("infogan", get_term("mutual_information", categorical=0.0, continuous=0.0)),
        ("bigan", get_term("bidirectional", 0)),
    ],
)
def test_a_term_whose_weights_are_all_0_teaches_nothing(model, term):
    (line,) = warnings_of(small(model), [term])
    assert line.startswith("terms: nothing teaches ")
    assert line.endswith(f"; give {term.name} weights above 0")


def test_one_weight_of_a_term_or_a_schedule_that_begins_at_0_is_enough():
    for term in (
        get_term("auxiliary_classifier", real=0.0),
        get_term("auxiliary_classifier", fake=0.0, generator=0.1),
        get_term("auxiliary_classifier", lambda iteration: 0.01 * iteration),
        get_term("auxiliary_classifier", every_steps=4),
    ):
        assert warnings_of(small("acgan"), [term]) == []


class ManyAnswers(nn.Layer):
    """Two heads beside the logit, and features that the logit is made of."""

    def __init__(self, *, image_shape: tuple[int, int, int] = (1, 28, 28), num_classes: int = 3):
        super().__init__()
        self.num_classes = num_classes
        self.hidden = nn.Linear(int(np.prod(image_shape)), 8)
        self.logit, self.classes, self.colour = nn.Linear(8, 1), nn.Linear(8, 3), nn.Linear(8, 1)

    def forward(self, images, labels=None):
        x = self.hidden(images.reshape([images.shape[0], -1])).tanh()
        extras = {"features": x, "class_logits": self.classes(x), "colour": self.colour(x)}
        return Judgement(self.logit(x), extras)


def of_colour(inputs):
    return inputs.real_judgement.extras["colour"].square().mean()


OF_COLOUR = Term("of_colour", "a test", of_colour, 1.0, needs=("colour",))
BY_NAME = {"generator": DENSE.generator, "labels": "needs", "paper": "none", "name": "many"}


def many(**fields):
    spec = GanSpec(discriminator=ManyAnswers, **{**BY_NAME, **fields})
    return Gan(spec, DENSE.generator(hidden_units=(8,), num_classes=3), ManyAnswers())


def test_each_head_wants_a_term_and_features_of_the_logit_want_none():
    (line,) = warnings_of(many(), [OF_COLOUR])
    said = "the layers classes of many's discriminator, as no term with a weight above 0 uses its "
    assert line == f"terms: nothing teaches {said}features, class_logits; add auxiliary_classifier"
    assert warnings_of(many(), [OF_COLOUR, "auxiliary_classifier"]) == []
    gan = many()
    for layer in (gan.discriminator.classes, gan.discriminator.colour):
        for weight in layer.parameters():
            weight.stop_gradient = True  # as of a net that was trained before
    assert warnings_of(gan, []) == []


def test_a_head_that_no_term_of_the_zoo_is_for():
    (line,) = warnings_of(many(), ["auxiliary_classifier"])
    assert line.endswith("the layers colour of many's discriminator, as no term with a weight "
                         "above 0 uses its features, colour; add one")  # fmt: skip


class OwnGame(Game):
    accelerated = True

    def discriminator_loss(self, gan, real, fake, moment):
        loss, scalars = super().discriminator_loss(gan, real, fake, moment)
        return loss + of_colour_of(gan, real), scalars


def of_colour_of(gan, real):
    return gan.judge(real.images, real.labels).extras["colour"].mean()


class OwnTrainer(Trainer):
    """Might have an update of its own."""


def test_losses_or_a_trainer_of_a_models_own_may_teach_what_they_like():
    for fields in ({"game": OwnGame}, {"trainer": OwnTrainer}):
        assert warnings_of(many(**fields), []) == []


def test_an_encoder_that_learns_with_d_is_taught_by_ds_loss():
    gan = small("bigan")
    spec = GanSpec(**{**vars(gan.spec), "trained_with": {"encoder": "discriminator"}})
    assert check_teaching(Gan(spec, **gan.nets), []) == []


class Unruly(ManyAnswers):
    """Draws in eval mode too, and takes four images at a time."""

    def forward(self, images, labels=None):
        return super().forward(nn.functional.dropout(images).reshape([4, 1, 28, 28]), labels)


def test_a_d_that_cannot_be_tried_is_left_alone():
    paddle.seed(3)
    first = paddle.rand([2]).numpy()
    gan = many()
    gan.nets["discriminator"] = Unruly()
    paddle.seed(3)
    assert check_teaching(gan, []) == []
    np.testing.assert_array_equal(paddle.rand([2]).numpy(), first)


def test_looking_leaves_the_nets_as_they_were():
    gan = small("acgan")
    before = {name: value.numpy() for name, value in gan.discriminator.state_dict().items()}
    check_teaching(gan, [get_term("auxiliary_classifier")])
    assert gan.discriminator.training and gan.discriminator.dropout.training
    for name, value in gan.discriminator.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert all(weight.grad is None for weight in gan.discriminator.parameters())


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=pytest.mark.slow if n in LARGE else ()) for n in shipped_recipes()],
)
def test_a_shipped_recipe_is_not_warned_of(name):
    recipe = load_recipe(shipped_recipes()[name])
    default = DATA.get(recipe.data.name).default_shape or PICTURE_SHAPE
    size = recipe.data.image_size or default[1]
    shape = (recipe.data.channels or default[0], size, size)
    gan = build_model(facts_of(recipe, shape, num_classes=10))
    assert build_trainer(recipe, gan, iterations=100_000).warnings == []
