"""A conformance check for architectures, for their authors' own tests.

``check_model("my_gan")`` in a test is all that a plugin needs to know that its nets can
be trained, sampled, saved and resumed by the zoo.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import nn

from ppgan_zoo.models.gan import Gan, build_gan
from ppgan_zoo.models.latent import Latent
from ppgan_zoo.models.nets import generate
from ppgan_zoo.models.spec import GanSpec, constructor_arguments
from ppgan_zoo.registry import MODELS
from ppgan_zoo.training.optimizers import Arrays, make_optimizer
from ppgan_zoo.training.trainer import Trainer

SEED = 7


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
    _check_constructors(spec, arguments)
    gan = _build(spec, arguments)
    z = Latent(latent_dim, spec.latent_prior).sample(batch_size, SEED)  # type: ignore[arg-type]
    images = np.random.default_rng(SEED).uniform(*gan.image_range, (batch_size, *gan.image_shape))
    real = images.astype(np.float32)
    _check_same_seed(gan, _build(spec, arguments))
    _check_generator(gan, z, arguments)
    _check_discriminator(gan, real)
    trainer = _check_training(gan, real, z)
    _check_state(trainer, _build(spec, arguments, seed=SEED + 1))
    _check_unconfined(gan, real)


def _check_constructors(spec: GanSpec, arguments: dict[str, Any]) -> None:
    schemas = {
        role: constructor_arguments(cls)
        for role, cls in (("generator", spec.generator), ("discriminator", spec.discriminator))
    }
    for role, schema in schemas.items():
        for name, parameter in schema.items():
            for part in ("default", "annotation"):
                given = getattr(parameter, part) is not parameter.empty
                _expect(given, f"{spec.name}: {role}: argument {name!r} has no {part}")
        _expect("image_shape" in schema, f"{spec.name}: {role} takes no image_shape")
    _expect("latent_dim" in schemas["generator"], f"{spec.name}: generator takes no latent_dim")
    for name in arguments:
        taken = any(name in schema for schema in schemas.values())
        _expect(taken, f"{spec.name}: no net takes the argument {name!r}")


def _build(spec: GanSpec, arguments: dict[str, Any], seed: int = SEED) -> Gan:
    paddle.seed(seed)
    generator, discriminator = (
        {key: value for key, value in arguments.items() if key in constructor_arguments(cls)}
        for cls in (spec.generator, spec.discriminator)
    )
    return build_gan(spec, generator, discriminator)


def _check_same_seed(gan: Gan, twin: Gan) -> None:
    title = f"{gan.spec.name}: two builds after the same paddle.seed differ in "
    _expect_same(_arrays(gan), _arrays(twin), title)


def _check_generator(gan: Gan, z: NDArray[np.float32], arguments: dict[str, Any]) -> None:
    title = f"{gan.spec.name}: generator"
    _expect(gan.latent_dim == z.shape[1], f"{title}.latent_dim is {gan.latent_dim}")
    wanted = tuple(arguments.get("image_shape", gan.image_shape))
    _expect(gan.image_shape == wanted, f"{title}.image_shape is {gan.image_shape}, not {wanted}")
    low, high = gan.image_range
    for count in (1, 2, len(z)):
        images = generate(gan.generator, z[:count])
        shape = (count, *gan.image_shape)
        _expect(images.shape == shape, f"{title} gives shape {images.shape}, not {shape}")
        _expect(images.dtype == np.float32, f"{title} gives {images.dtype}, not float32")
        _expect(
            images.min() >= low and images.max() <= high,  # False for NaN too
            f"{title} gives pixels from {images.min()} to {images.max()}, outside of the declared "
            f"image_range {gan.image_range}",
        )
    first, second, alone = (generate(gan.generator, part) for part in (z, z, z[:1]))
    _expect(np.array_equal(first, second), f"{title} is random in eval mode")
    bound = not np.allclose(alone, first[:1], atol=1e-4)
    _expect(not bound, f"{title}: in eval mode an image depends on the others of its batch")


def _check_discriminator(gan: Gan, real: NDArray[np.float32]) -> None:
    title = f"{gan.spec.name}: discriminator"
    for count in (1, len(real)):
        first, second = (generate(gan.discriminator, real[:count]) for _ in range(2))
        _expect(first.shape == (count, 1), f"{title} gives shape {first.shape}, not ({count}, 1)")
        _expect(first.dtype == np.float32, f"{title} gives {first.dtype}, not float32")
        _expect(np.array_equal(first, second), f"{title} is random in eval mode")


def _check_training(gan: Gan, real: NDArray[np.float32], z: NDArray[np.float32]) -> Trainer:
    """Every parameter must get a gradient, and move in a step of the trainer."""
    trainer = _trainer(gan)
    losses = {"generator": trainer.generator_loss, "discriminator": trainer.discriminator_loss}
    moving = []
    for role, layer in _nets(gan).items():
        losses[role](paddle.to_tensor(real), paddle.to_tensor(z))[0].backward()
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


def _check_state(trainer: Trainer, twin: Gan) -> None:
    state, restored = trainer.state(), _trainer(twin)
    restored.load_state(state, trainer.iteration)
    for file, arrays in restored.state().items():
        title = f"{twin.spec.name}: {file}: not restored bit by bit into a new model: "
        _expect_same(state[file], arrays, title)


def _check_unconfined(gan: Gan, real: NDArray[np.float32]) -> None:
    """A logit can be pushed below 0; a probability cannot. Spoils D, so it comes last."""
    discriminator = gan.discriminator
    optimizer = make_optimizer(discriminator, learning_rate=0.1)
    for _ in range(20):
        logits = discriminator(paddle.to_tensor(real))
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
    algorithm: type[Trainer] = gan.spec.trainer or Trainer
    return algorithm(gan, generator_steps=1, ema_decay=0.9)


def _nets(gan: Gan) -> dict[str, nn.Layer]:
    return {"generator": gan.generator, "discriminator": gan.discriminator}


def _arrays(gan: Gan) -> Arrays:
    return {
        f"{role}: {name}": tensor.numpy()
        for role, layer in _nets(gan).items()
        for name, tensor in layer.state_dict().items()
    }


def _expect_same(wanted: Arrays, found: Arrays, title: str) -> None:
    for name in sorted(set(wanted) | set(found)):
        both = name in wanted and name in found
        _expect(both and np.array_equal(wanted[name], found[name]), title + name)


def _expect(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)
