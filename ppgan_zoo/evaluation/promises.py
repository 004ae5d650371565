"""What the zoo relies on of an architecture: each promise tried on a model.

Every function takes a :class:`ppgan_zoo.evaluation.subject.Subject`, raises AssertionError where
the promise is broken, and may return a line to show beside "passed".
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import paddle
from numpy.typing import NDArray
from paddle import Tensor

from ppgan_zoo.data.batches import Batch
from ppgan_zoo.evaluation.subject import SEED, STEPS_TOGETHER, Subject
from ppgan_zoo.evaluation.two_processes import trained_in_two
from ppgan_zoo.export.exporter import export
from ppgan_zoo.models.gan import Gan
from ppgan_zoo.models.latent import Code
from ppgan_zoo.models.nets import generate, judged, with_moved_weights
from ppgan_zoo.models.spec import constructor_arguments
from ppgan_zoo.registry import MODELS, TERMS
from ppgan_zoo.storage.checkpoint import Arrays, save_checkpoint
from ppgan_zoo.training.optimizers import make_optimizer
from ppgan_zoo.training.trainer import Trainer

MAIN_NETS = ("generator", "discriminator")


class DoesNotApply(Exception):
    """Raised by a check that says nothing of this model."""


def constructors(subject: Subject) -> None:
    """The signatures are schemas: keyword-only, annotated, with defaults."""
    spec = subject.spec
    schemas = {net: constructor_arguments(cls) for net, cls in spec.nets.items()}
    for net, schema in schemas.items():
        for name, parameter in schema.items():
            for part in ("default", "annotation"):
                given = getattr(parameter, part) is not parameter.empty
                _expect(given, f"{net}: argument {name!r} has no {part}")
        if net in MAIN_NETS:
            _expect("image_shape" in schema, f"{net} takes no image_shape")
    _expect("latent_dim" in schemas["generator"], "generator takes no latent_dim")
    for name in subject.shared:
        taken = any(name in schema for schema in schemas.values())
        _expect(taken, f"no net takes the argument {name!r}")
    spec.check(spec.name)


def same_seed(subject: Subject) -> None:
    """Two builds after the same seed have the same weights."""
    title = "two builds after the same paddle.seed differ in "
    _expect_same(_arrays(subject.gan), _arrays(subject.build()), title)


def shapes(subject: Subject) -> None:
    """Batches of any size, of one too, give float32 of the right shapes."""
    gan, facts = subject.gan, subject.facts
    wanted = facts.image_shape
    _expect(gan.latent_dim == facts.latent.dim, f"generator.latent_dim is {gan.latent_dim}")
    _expect(gan.image_shape == wanted, f"generator.image_shape is {gan.image_shape}, not {wanted}")
    for count in (1, 2, len(subject.code)):
        _expect_array("generator", _images(gan, subject.code[:count]), (count, *wanted))
    for count in (1, len(subject.real)):
        found = _logits(gan, _first(subject.real, count))
        patches = found.shape[1] if found.ndim == 2 else 1
        _expect_array("discriminator", found, (count, patches))


def image_range(subject: Subject) -> str:
    """Images lie within the range that the spec declares, unless it says that they may not."""
    low, high = subject.gan.image_range
    images = _images(subject.gan, subject.code)
    if subject.spec.unbounded:
        _expect(np.isfinite(images).all(), "generator gives pixels of inf or NaN")
        return f"{images.min():.2f} to {images.max():.2f}, clipped to {low:g} to {high:g}"
    _expect(
        images.min() >= low and images.max() <= high,  # False for NaN too
        f"generator gives pixels from {images.min()} to {images.max()}, outside of the declared "
        f"image_range {subject.gan.image_range}",
    )
    return f"{images.min():.2f} to {images.max():.2f} within {low:g} to {high:g}"


def eval_mode(subject: Subject) -> None:
    """In eval mode nothing is random, and an image depends on its own code alone."""
    gan, code = subject.gan, subject.code
    first, second, alone = (_images(gan, part) for part in (code, code, code[:1]))
    _expect(np.array_equal(first, second), "generator is random in eval mode")
    bound = not np.allclose(alone, first[:1], atol=1e-4)
    _expect(not bound, "generator: in eval mode an image depends on the others of its batch")
    once, again = (_logits(gan, subject.real) for _ in range(2))
    _expect(np.array_equal(once, again), "discriminator is random in eval mode")


def gradients(subject: Subject) -> None:
    """Every weight of G and of D gets a gradient, finite and not all zeros."""
    _expect_gradients(subject, MAIN_NETS, "forward leaves it out")


def further_nets(subject: Subject) -> str:
    """Each learns in the updates of G or of D, as the spec says, and in no other.

    Statistics of norms may follow what passes through them in the others.
    """
    nets = subject.spec.other_nets
    if not nets:
        raise DoesNotApply("there are none")
    _expect_gradients(subject, nets, "no loss uses it, or no term that was asked for")
    gan = subject.build()
    trainer = subject.trainer_of(gan)
    batch, moment = subject.real.map(paddle.to_tensor), trainer.chance.at(0)
    for update in trainer.updates:
        before = subject.learnt(gan)
        update.apply(gan, trainer.game, [batch], moment)
        after, remembered = subject.learnt(gan), update.state()
        for net in nets:
            prefix = f"{net}."
            moved = any(
                not np.array_equal(before[name], after[name])
                for name in before
                if name.startswith(prefix)
            )
            if net in update.nets:
                _expect(moved, f"{net} does not learn in the updates of the {update.net}")
                saved = any(name.startswith(f"{net}.") for name in remembered)
                _expect(saved, f"{net}: the {update.net}'s optimizer saves nothing of it")
            else:
                _expect(not moved, f"{net} is changed by the updates of the {update.net}")
    return ", ".join(nets)


def a_step(subject: Subject) -> None:
    """Every parameter that gets a gradient moves, and every scalar is finite."""
    moving = _with_gradients(subject)
    before = _arrays(subject.gan)
    for name, value in subject.trainer.step(subject.real).items():
        _expect(np.isfinite(value.item()), f"{name} is {value.item()}")
    after = _arrays(subject.gan)
    for name in moving:
        moved = not np.array_equal(before[name], after[name])
        _expect(moved, f"{name} does not move in a step of the trainer")


def state_and_resume(subject: Subject) -> None:
    """A state goes into a new model and back, and both go on alike; on the CPU to the bit."""
    trainer, restored = subject.trainer, subject.trainer_of(subject.build(SEED + 1))
    restored.load_state(trainer.state(), trainer.iteration)
    _expect_same_state(trainer, restored, "not restored bit by bit into a new model: ")
    for either in (trainer, restored):
        either.step(subject.real)
    _expect_same_state(trainer, restored, "a resumed model takes another step: ")


def two_processes(subject: Subject) -> str:
    """Two processes come to the weights of one, but for rounding; both to the same ones.

    A net that draws by Paddle itself, and not through
    :func:`ppgan_zoo.distributed.collectives.drawn`, draws the same for each process's images.
    """
    if not _found_by_another_process(subject):
        raise DoesNotApply("another process cannot find the model; give its name or MODULE:SPEC")
    if subject.batch_size % 2:
        raise DoesNotApply("a batch of an odd size cannot be shared out")
    first, second = trained_in_two(subject)
    _expect_same(first, second, "two processes part: they differ in ")
    alone = subject.build()
    trainer = subject.trainer_of(alone)
    for _ in range(STEPS_TOGETHER):
        trainer.step(subject.real)
    for name, wanted in subject.learnt(alone).items():
        off = float(np.abs(first[name] - wanted).max())
        # Adam makes a full step of a gradient that is rounding alone, such as D's last bias.
        _expect(
            wanted.ndim < 2 or off < 1e-4,
            f"two processes: {name} is {off:.1e} off one's; what nets and losses make of a whole "
            "batch, and what they draw, goes through ppgan_zoo.distributed.collectives",
        )
    return "the weights of one"


def _found_by_another_process(subject: Subject) -> bool:
    """Tell whether model and terms come from installed code, and not from this process alone."""
    if subject.target is None:
        return False
    sources = [TERMS.sources().get(term.name) for term in subject.terms]
    if ":" not in subject.target:
        sources.append(MODELS.sources().get(subject.target))
    return all(source is not None and not source.is_of_this_process for source in sources)


def exported(subject: Subject) -> str:
    """The export measures itself and refuses a difference above its tolerance."""
    with tempfile.TemporaryDirectory() as folder, MODELS.lent(subject.spec):
        trainer = subject.trainer
        checkpoint = save_checkpoint(
            Path(folder), trainer.state(), trainer.iteration, subject.facts.to_json()
        )
        found = export(checkpoint, Path(folder) / "exported", timed=False).largest_difference
    worst = max(found.static_graph, found.paddle_inference)
    return f"largest difference {worst:.1e}, allowed {found.tolerance:.0e}"


def logits(subject: Subject) -> None:
    """A logit can be pushed below 0; a probability cannot."""
    gan = subject.build()
    optimizer = make_optimizer(gan.discriminator, learning_rate=0.1)
    real = subject.real.map(paddle.to_tensor)
    for _ in range(20):
        logits = gan.judge(real.images, real.labels).logits
        if logits.min().item() < 0.0:
            return
        logits.mean().backward()
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
    raise AssertionError(
        "discriminator: no output falls below 0, however it is trained; it must return logits"
    )


def labels_matter(subject: Subject) -> str:
    """Other labels give other images."""
    gan, code = subject.gan, subject.code
    other = Code(code.z, (code.labels + 1) % gan.num_classes)
    same = np.array_equal(_images(gan, other), _images(gan, code))
    _expect(not same, "generator: the labels make no difference to its images")
    return f"{gan.num_classes} classes"


def _expect_gradients(subject: Subject, nets: Iterable[str], reason: str) -> None:
    """Every weight of `nets` gets one, finite and not all zeros; then drop them all again."""
    # Off zero, where a residual block may begin: nothing before a weight of zero gets a gradient.
    moved = {name: with_moved_weights(net) for name, net in subject.build().nets.items()}
    trainer = subject.trainer_of(Gan(subject.spec, **moved))
    for net in nets:
        loss = _loss_of(trainer, net, subject)
        loss.backward()
        for name, parameter in trainer.gan.nets[net].named_parameters():
            if parameter.stop_gradient:
                continue
            title = f"{net}: {name}"
            _expect(parameter.grad is not None, f"{title} gets no gradient: {reason}")
            gradient = parameter.grad.numpy()
            _expect(np.isfinite(gradient).all(), f"{title} gets a gradient of inf or NaN")
            # A bias may have none: under a norm, or where D's real and fake part cancel.
            _expect(gradient.ndim < 2 or gradient.any(), f"{title} gets a gradient of zeros")
        _drop_gradients(trainer)


def _with_gradients(subject: Subject) -> list[str]:
    """Return the parameters of all nets whose gradient is not all zeros."""
    moving = []
    for net, layer in subject.gan.nets.items():
        _loss_of(subject.trainer, net, subject).backward()
        moving += [
            f"{net}: {name}"
            for name, parameter in layer.named_parameters()
            if not parameter.stop_gradient and parameter.grad.numpy().any()
        ]
        _drop_gradients(subject.trainer)
    return moving


def _loss_of(trainer: Trainer, net: str, subject: Subject) -> Tensor:
    """Return the loss that a net learns from."""
    gan, game, moment = trainer.gan, trainer.game, trainer.chance.at(0)
    real, code = subject.real.map(paddle.to_tensor), subject.code.map(paddle.to_tensor)
    if net in gan.learning_with("generator"):
        return game.generator_loss(gan, real, code, moment)[0]
    with paddle.no_grad():
        fake = Batch(gan.generate(code), code.labels, code)
    return game.discriminator_loss(gan, real, fake, moment)[0]


def _drop_gradients(trainer: Trainer) -> None:
    for update in trainer.updates:
        update.optimizer.clear_grad(set_to_zero=False)


def _images(gan: Gan, code: Code) -> NDArray[np.float32]:
    return generate(gan.generator, code.z, code.labels)


def _logits(gan: Gan, batch: Batch) -> NDArray[np.float32]:
    return judged(gan, batch.images, batch.labels)


def _first(batch: Batch, count: int) -> Batch:
    return batch.map(lambda array: array[:count])


def _arrays(gan: Gan) -> Arrays:
    return {
        f"{net}: {name}": tensor.numpy()
        for net, layer in gan.nets.items()
        for name, tensor in layer.state_dict().items()
    }


def _expect_array(net: str, found: NDArray[Any], shape: tuple[int, ...]) -> None:
    _expect(found.shape == shape, f"{net} gives shape {found.shape}, not {shape}")
    _expect(found.dtype == np.float32, f"{net} gives {found.dtype}, not float32")


def _expect_same_state(trainer: Trainer, other: Trainer, title: str) -> None:
    wanted, found = trainer.state(), other.state()
    _expect(wanted.keys() == found.keys(), f"{title}{', '.join(wanted.keys() ^ found.keys())}")
    for file, arrays in wanted.items():
        _expect_same(arrays, found[file], f"{file}: {title}")


def _expect_same(wanted: Arrays, found: Arrays, title: str) -> None:
    for name in sorted(set(wanted) | set(found)):
        both = name in wanted and name in found
        _expect(both and np.array_equal(wanted[name], found[name]), title + name)


def _expect(condition: Any, message: str) -> None:
    if not condition:
        raise AssertionError(message)
