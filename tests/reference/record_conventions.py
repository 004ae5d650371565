"""Writes ``conventions.npz``: single layers and optimizer steps of PyTorch and of Keras 3.

``KERAS_BACKEND=torch python tests/reference/record_conventions.py``, with both installed.
Also checks that the PyTorch functions of ``systems.py`` are what Keras itself computes
from the same tensors.
"""

import os
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"
import keras
import numpy as np
import torch
from cases import BATCH, CASES, LATENT, latents, real_images, stream, weights
from keras import layers
from systems import FORWARD, Net

out = {}


def draw(name, *shape):
    out[name] = stream("conventions", name).randn(*shape).astype(np.float32)
    return out[name]


def numpy(tensor):
    return tensor.detach().cpu().numpy()


def nhwc(x):
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1))


def nchw(x):
    return np.ascontiguousarray(numpy(x).transpose(0, 3, 1, 2))


def record_layers():
    image = draw("image", 4, 3, 7, 7)
    rows = draw("rows", 6, 5)
    for label, layer in (
        ("same_conv3", layers.Conv2D(2, 3, strides=2, padding="same")),
        ("same_conv5", layers.Conv2D(2, 5, strides=2, padding="same")),
        ("same_transposed3", layers.Conv2DTranspose(2, 3, strides=2, padding="same")),
        ("same_transposed5", layers.Conv2DTranspose(2, 5, strides=2, padding="same")),
        ("valid_transposed4", layers.Conv2DTranspose(2, 4)),
    ):
        even = image[:, :, :6, :6] if label == "same_conv3" else image  # pads one side only
        layer.build(nhwc(even).shape)
        kernel = draw(f"{label}/kernel", *layer.kernel.shape)
        layer.set_weights([kernel, draw(f"{label}/bias", 2)])
        out[f"{label}/output"] = nchw(layer(nhwc(even)))
    dense = layers.Dense(3)
    dense.build(rows.shape)
    dense.set_weights([draw("keras_dense/kernel", 5, 3), draw("keras_dense/bias", 3)])
    out["keras_dense/output"] = numpy(dense(rows))
    linear = torch.nn.Linear(5, 3)
    linear.load_state_dict({leaf: torch.tensor(draw(f"torch_linear/{leaf}", *shape))
                            for leaf, shape in (("weight", (3, 5)), ("bias", (3,)))})  # fmt: skip
    out["torch_linear/output"] = numpy(linear(torch.tensor(rows)))
    for label, made in (("torch_conv", torch.nn.Conv2d(3, 2, 3, padding=1)),
                        ("torch_transposed", torch.nn.ConvTranspose2d(
                            3, 2, 5, stride=2, padding=2, output_padding=1))):  # fmt: skip
        made.load_state_dict({leaf: torch.tensor(draw(f"{label}/{leaf}", *value.shape))
                              for leaf, value in made.state_dict().items()})  # fmt: skip
        out[f"{label}/output"] = numpy(made(torch.tensor(image)))

    norm = layers.BatchNormalization()
    out["keras_norm/output"] = nchw(norm(nhwc(image), training=True))
    out["keras_norm/moving_mean"] = numpy(norm.moving_mean.value)
    out["keras_norm/moving_variance"] = numpy(norm.moving_variance.value)
    norm = torch.nn.BatchNorm2d(3)
    out["torch_norm/output"] = numpy(norm(torch.tensor(image)))
    out["torch_norm/running_mean"] = numpy(norm.running_mean)
    out["torch_norm/running_var"] = numpy(norm.running_var)

    out["keras_leaky/output"] = numpy(layers.LeakyReLU()(rows))
    out["torch_leaky/output"] = numpy(torch.nn.LeakyReLU()(torch.tensor(rows)))
    dropped = numpy(layers.Dropout(0.2, seed=1)(np.ones((40, 50), np.float32), training=True))
    out["keras_dropout/values"] = np.unique(dropped)
    average = torch.nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
    out["torch_average/output"] = numpy(average(torch.tensor(image)))


def record_initial_bounds():
    """Largest weight of a large Glorot layer: what the bound is, from which fans."""
    for label, layer, shape in (
        ("dense", layers.Dense(300), (1, 500)),
        ("conv", layers.Conv2D(40, 5), (1, 9, 9, 30)),
        ("transposed", layers.Conv2DTranspose(40, 5), (1, 9, 9, 30)),
    ):
        layer.build(shape)
        kernel = numpy(layer.kernel.value)
        out[f"keras_initial/{label}"] = np.array([np.abs(kernel).max(), kernel.std()])
        assert not numpy(layer.bias.value).any()


def record_optimizers():
    start = draw("optimizer/start", 8)
    # From ordinary gradients down to the size of epsilon, where conventions part.
    sizes = np.array([1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7], np.float32)
    steps = out["optimizer/gradients"] = sizes * draw("optimizer/noise", 3, 8)
    for label, optimizer in (
        ("keras_adam", keras.optimizers.Adam(1e-2, beta_1=0.5)),
        ("keras_rmsprop", keras.optimizers.RMSprop(1e-2)),
        # The "decay" of older Keras: the rate over 1 + decay * updates done.
        (
            "keras_decay",
            keras.optimizers.RMSprop(
                keras.optimizers.schedules.InverseTimeDecay(1e-2, decay_steps=1, decay_rate=0.5)
            ),
        ),
    ):
        variable = keras.Variable(start)
        for gradient in steps:
            optimizer.apply([torch.tensor(gradient)], [variable])
        out[f"{label}/after"] = numpy(variable.value)
    for label, make in (
        ("torch_adam", lambda p: torch.optim.Adam(p, 1e-2, betas=(0.5, 0.999))),
        ("torch_rmsprop", lambda p: torch.optim.RMSprop(p, 1e-2)),
    ):
        parameter = torch.nn.Parameter(torch.tensor(start))
        optimizer = make([parameter])
        for gradient in steps:
            parameter.grad = torch.tensor(gradient)
            optimizer.step()
        out[f"{label}/after"] = numpy(parameter)


def keras_models():
    """R2, R4 and R5 as their sources write them, at the widths of ``cases.py``."""

    def leaky(slope):
        return layers.LeakyReLU(negative_slope=slope)

    def batch_norm():
        return layers.BatchNormalization()

    dense_d = [layers.Flatten(), layers.Dense(9), leaky(0.2), layers.Dense(7), leaky(0.2),
               layers.Dense(1)]  # fmt: skip
    hidden = [part for width in (7, 8, 9) for part in
              (layers.Dense(width), leaky(0.2), layers.BatchNormalization(momentum=0.8))]  # fmt: skip
    yield "r2", [*hidden, layers.Dense(64, activation="tanh"), layers.Reshape((8, 8, 1))], dense_d

    up = layers.Conv2DTranspose
    generator = [layers.Dense(4 * 4 * 6), layers.Reshape((4, 4, 6)),
                 batch_norm(), leaky(0.01), up(5, 4),
                 batch_norm(), leaky(0.01), up(4, 3, 2, "same"),
                 batch_norm(), leaky(0.01), up(1, 3, 2, "same", activation="tanh")]  # fmt: skip
    discriminator = [layers.Conv2D(4, 3, 2, "same"), leaky(0.01),
                     layers.Conv2D(5, 3, 2, "same"), batch_norm(), leaky(0.01),
                     layers.Conv2D(6, 3, 2, "same"), batch_norm(), leaky(0.01),
                     layers.Flatten(), layers.Dense(1)]  # fmt: skip
    yield "r4", generator, discriminator

    generator = [layers.Dense(7 * 7 * 5), layers.Reshape((7, 7, 5))]
    for filters, stride in ((5, 2), (4, 2), (3, 1), (1, 1)):
        generator += [batch_norm(), layers.ReLU(), up(filters, 5, stride, "same")]
    discriminator = []
    for filters, stride in ((3, 2), (4, 2), (5, 2), (6, 1)):
        discriminator += [leaky(0.2), layers.Conv2D(filters, 5, stride, "same")]
    yield ("r5", [*generator, layers.Activation("sigmoid")],
           [*discriminator, layers.Flatten(), layers.Dense(1)])  # fmt: skip


def check_systems():
    for name, *parts in keras_models():
        case = CASES[name]
        inputs = latents(case, 0, 0), nhwc(real_images(case, 0))
        for net, stack, x, forward in zip(
            ("generator", "discriminator"), parts, inputs, FORWARD[name]
        ):
            model = keras.Sequential([keras.Input(x.shape[1:]), *stack])
            tensors = weights(case, net)
            # Both are in the order of the data; so are the tensors of each layer.
            model.set_weights(list(tensors.values()))
            for training in (False, True):
                ours = Net(forward, tensors, torch_names=False)
                ours.training = training
                if net == "generator":
                    wanted = numpy(ours(torch.tensor(x).double())).transpose(0, 2, 3, 1)
                else:
                    wanted = numpy(ours(torch.tensor(x.transpose(0, 3, 1, 2)).double()))
                found = numpy(model(x, training=training))
                assert found.shape == wanted.shape and len(x) == BATCH and LATENT
                difference = np.abs(found - wanted).max()
                assert difference < 1e-5, (name, net, training, difference)
                print(f"{name} {net} training={training}: Keras differs by {difference:.1e}")


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    record_layers()
    record_initial_bounds()
    record_optimizers()
    check_systems()
    np.savez_compressed(Path(__file__).parent / "conventions.npz", **out)
