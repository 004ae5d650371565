"""A conformance check for architectures, for their authors' own tests.

``check_model("my_gan")`` in a test is all that a plugin needs to know that its nets can
be trained, sampled, saved and resumed by the zoo.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.models.gan import Gan, build_gan
from ppgan_zoo.models.latent import Code, Latent, labels_in_turn
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.spec import GanSpec, constructor_arguments
from ppgan_zoo.registry import MODELS
from ppgan_zoo.storage.checkpoint import Arrays
from ppgan_zoo.training.assemble import make_trainer
from ppgan_zoo.training.optimizers import make_optimizer
from ppgan_zoo.training.trainer import Trainer

SEED = 7
CLASSES = 3  # that a model which takes labels is built with


def check_model(
    model: str | GanSpec, *, latent_dim: int = 16, batch_size: int = 8, **arguments: Any
) -> None:
    """Check that an architecture keeps the promises that the zoo relies on.

    Builds it three times and trains it for an iteration: give a large one smaller
    `arguments`.

    Args:
        model: A name of :func:`ppgan_zoo.list_models`, or a spec that is not registered.
        latent_dim: Size of z.
        batch_size: Images in a training batch.
        **arguments: Constructor arguments, handed to whichever net takes them, such as
            ``image_shape=(3, 32, 32)``.

    Raises:
        AssertionError: A promise is broken; the message says which and by which net.
        ZooError: The model cannot be found or built.
    """
    spec = MODELS.get(model) if isinstance(model, str) else model
    arguments = {"latent_dim": latent_dim, **arguments}
    if spec.labels == "needs":
        arguments.setdefault("num_classes", CLASSES)
    _check_constructors(spec, arguments)
    gan = _build(spec, arguments)
    code = _code(gan, batch_size)
    images = np.random.default_rng(SEED).uniform(*gan.image_range, (batch_size, *gan.image_shape))
    real = images.astype(np.float32)
    _check_same_seed(gan, _build(spec, arguments))
    _check_generator(gan, code, arguments)
    _check_discriminator(gan, Batch(real, code.labels))
    trainer = _check_training(gan, Batch(real, code.labels), code)
    _check_state(trainer, _build(spec, arguments, seed=SEED + 1))
    _check_unconfined(gan, Batch(real, code.labels))
    if spec.labels == "takes" and not arguments.get("num_classes"):
        check_model(spec, batch_size=batch_size, **{**arguments, "num_classes": CLASSES})


def _code(gan: Gan, count: int) -> Code:
    """Return codes as arrays, each class in its turn."""
    latent = Latent(gan.latent_dim, gan.spec.latent_prior)  # type: ignore[arg-type]
    labels = labels_in_turn(count, gan.num_classes) if gan.num_classes else None
    return Code(latent.sample(count, SEED), labels)


def _check_constructors(spec: GanSpec, arguments: dict[str, Any]) -> None:
    schemas = {role: constructor_arguments(cls) for role, cls in spec.nets.items()}
    for role, schema in schemas.items():
        for name, parameter in schema.items():
            for part in ("default", "annotation"):
                given = getattr(parameter, part) is not parameter.empty
                _expect(given, f"{spec.name}: {role}: argument {name!r} has no {part}")
        if role in ("generator", "discriminator"):
            _expect("image_shape" in schema, f"{spec.name}: {role} takes no image_shape")
    _expect("latent_dim" in schemas["generator"], f"{spec.name}: generator takes no latent_dim")
    for name in arguments:
        taken = any(name in schema for schema in schemas.values())
        _expect(taken, f"{spec.name}: no net takes the argument {name!r}")


def _build(spec: GanSpec, arguments: dict[str, Any], seed: int = SEED) -> Gan:
    paddle.seed(seed)
    return build_gan(
        spec,
        **{
            role: {k: v for k, v in arguments.items() if k in constructor_arguments(cls)}
            for role, cls in spec.nets.items()
        },
    )


def _check_same_seed(gan: Gan, twin: Gan) -> None:
    title = f"{gan.spec.name}: two builds after the same paddle.seed differ in "
    _expect_same(_arrays(gan), _arrays(twin), title)


def _check_generator(gan: Gan, code: Code, arguments: dict[str, Any]) -> None:
    title = f"{gan.spec.name}: generator"
    _expect(gan.latent_dim == arguments["latent_dim"], f"{title}.latent_dim is {gan.latent_dim}")
    wanted = tuple(arguments.get("image_shape", gan.image_shape))
    _expect(gan.image_shape == wanted, f"{title}.image_shape is {gan.image_shape}, not {wanted}")
    low, high = gan.image_range
    for count in (1, 2, len(code)):
        images = _generate(gan, code[:count])
        shape = (count, *gan.image_shape)
        _expect(images.shape == shape, f"{title} gives shape {images.shape}, not {shape}")
        _expect(images.dtype == np.float32, f"{title} gives {images.dtype}, not float32")
        _expect(
            images.min() >= low and images.max() <= high,  # False for NaN too
            f"{title} gives pixels from {images.min()} to {images.max()}, outside of the declared "
            f"image_range {gan.image_range}",
        )
    first, second, alone = (_generate(gan, part) for part in (code, code, code[:1]))
    _expect(np.array_equal(first, second), f"{title} is random in eval mode")
    bound = not np.allclose(alone, first[:1], atol=1e-4)
    _expect(not bound, f"{title}: in eval mode an image depends on the others of its batch")
    if gan.num_classes:
        other = Code(code.z, (code.labels + 1) % gan.num_classes)
        _expect(
            not np.array_equal(_generate(gan, other), first),
            f"{title}: the labels make no difference to its images",
        )


def _generate(gan: Gan, code: Code) -> NDArray[np.float32]:
    return generate(gan.generator, code.z, code.labels)


def _check_discriminator(gan: Gan, real: Batch) -> None:
    title = f"{gan.spec.name}: discriminator"
    for count in (1, len(real)):
        part = real.map(lambda array, n=count: array[:n])  # type: ignore[misc]
        first, second = (generate(gan.discriminator, part.images, part.labels) for _ in range(2))
        _expect(first.shape == (count, 1), f"{title} gives shape {first.shape}, not ({count}, 1)")
        _expect(first.dtype == np.float32, f"{title} gives {first.dtype}, not float32")
        _expect(np.array_equal(first, second), f"{title} is random in eval mode")


def _check_training(gan: Gan, real: Batch, code: Code) -> Trainer:
    """Every parameter must get a gradient, and move in a step of the trainer."""
    trainer = _trainer(gan)
    moving = []
    for role, layer in gan.nets.items():
        _loss_of(trainer, role, real.map(paddle.to_tensor), code.map(paddle.to_tensor)).backward()
        for name, parameter in layer.named_parameters():
            if parameter.stop_gradient:
                continue
            title = f"{gan.spec.name}: {role}: {name}"
            _expect(parameter.grad is not None, f"{title} gets no gradient: forward leaves it out")
            gradient = parameter.grad.numpy()
            _expect(np.isfinite(gradient).all(), f"{title} gets a gradient of inf or NaN")
            # A bias may have none: under a norm, or where D's real and fake part cancel.
            _expect(gradient.ndim < 2 or gradient.any(), f"{title} gets a gradient of zeros")
            if gradient.any():
                moving.append(f"{role}: {name}")
        for update in trainer.updates:
            update.optimizer.clear_grad(set_to_zero=False)
    before = _arrays(gan)
    for name, value in trainer.step(real).items():
        _expect(np.isfinite(value.item()), f"{gan.spec.name}: {name} is {value.item()}")
    after = _arrays(gan)
    for name in moving:
        moved = not np.array_equal(before[name], after[name])
        _expect(moved, f"{gan.spec.name}: {name} does not move in a step of the trainer")
    return trainer


def _loss_of(trainer: Trainer, net: str, real: Batch, code: Code) -> Tensor:
    """Return the loss that a net learns from."""
    gan, game, moment = trainer.gan, trainer.game, trainer.chance.at(0)
    if net != "discriminator" and gan.spec.trained_with.get(net, "generator") == "generator":
        return game.generator_loss(gan, real, code, moment)[0]
    with paddle.no_grad():
        fake = Batch(gan.generate(code), code.labels)
    return game.discriminator_loss(gan, real, fake, moment)[0]


def _check_state(trainer: Trainer, twin: Gan) -> None:
    state, restored = trainer.state(), _trainer(twin)
    restored.load_state(state, trainer.iteration)
    for file, arrays in restored.state().items():
        title = f"{twin.spec.name}: {file}: not restored bit by bit into a new model: "
        _expect_same(state[file], arrays, title)


def _check_unconfined(gan: Gan, real: Batch) -> None:
    """A logit can be pushed below 0; a probability cannot. Spoils D, so it comes last."""
    discriminator = gan.discriminator
    optimizer = make_optimizer(discriminator, learning_rate=0.1)
    tensors = real.map(paddle.to_tensor)
    for _ in range(20):
        logits = gan.judge(tensors.images, tensors.labels).logits
        if logits.min().item() < 0.0:
            return
        logits.mean().backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
    raise AssertionError(
        f"{gan.spec.name}: discriminator: no output falls below 0, however it is trained; it "
        "must return logits"
    )


def _trainer(gan: Gan) -> Trainer:
    return make_trainer(gan, generator_steps=1, ema_decay=0.9)


def _arrays(gan: Gan) -> Arrays:
    return {
        f"{role}: {name}": tensor.numpy()
        for role, layer in gan.nets.items()
        for name, tensor in layer.state_dict().items()
    }


def _expect_same(wanted: Arrays, found: Arrays, title: str) -> None:
    for name in sorted(set(wanted) | set(found)):
        both = name in wanted and name in found
        _expect(both and np.array_equal(wanted[name], found[name]), title + name)


def _expect(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)
