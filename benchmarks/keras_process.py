"""One recipe of dense nets in Keras 3 on JAX, timed in this process; prints a line of JSON.

As fast as Keras is written for JAX: stateless nets and optimizers, and all updates of an
iteration, with the batches that they draw and the average of G, compiled as one function.
"""

import json
import os
import sys

os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import keras
import numpy as np
from keras import Input, Sequential, layers
from peer_process import IMAGES, SAMPLE_BATCH, timed, trains_plainly

PIXELS = 28 * 28


def main():
    request = json.loads(sys.argv[1])
    # XLA starts as many threads, at its first use, as there are cores that the process may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: request["threads"]])
    training = Training(request["recipe"], request["setting"])
    if request["sample"]:
        run = sampler(training)
    else:
        state = training.state

        def run():
            nonlocal state
            state = jax.block_until_ready(training.step(state))

    nets = (training.generator, training.discriminator)
    print(json.dumps({
        **timed(run, request),
        "parameters": [sum(w.value.size for w in net.trainable_variables) for net in nets],
        "versions": f"Keras {keras.__version__} on JAX {jax.__version__}",
    }))  # fmt: skip


def build(model, latent_dim, generator, discriminator):
    """Return G and D of the zoo's model, with the recipe's arguments for each."""

    def activation(options):
        if options.get("activation", "leaky_relu") == "relu":
            return layers.ReLU()
        return layers.LeakyReLU(negative_slope=0.2)

    norm = model == "gan_mlp_bn"
    widths = generator.get("hidden_units", (256, 512, 1024) if norm else (128, 256, 512, 1024))
    of_g = [Input((latent_dim,))]
    for width in widths:
        of_g += [layers.Dense(width), activation(generator)]
        of_g += [layers.BatchNormalization(momentum=0.8)] if norm else []
    of_g += [layers.Dense(PIXELS, activation="tanh")]
    of_d = [Input((PIXELS,))]
    for width in discriminator.get("hidden_units", (512, 256)):
        of_d += [layers.Dense(width), activation(discriminator)]
    return Sequential(of_g), Sequential([*of_d, layers.Dense(1)])


class Training:
    """A recipe's iteration, as one compiled function from state to state."""

    def __init__(self, recipe, setting):
        refuse(recipe, setting)
        self.recipe, self.setting, model = recipe, setting, recipe["model"]
        self.generator, self.discriminator = build(
            model["name"], recipe["latent"]["dim"], model["generator"], model["discriminator"]
        )
        self.of_g = optimizer(recipe["optimizer"]["generator"])
        self.of_d = optimizer(recipe["optimizer"]["discriminator"])
        self.of_g.build(self.generator.trainable_variables)
        self.of_d.build(self.discriminator.trainable_variables)
        self.decay = recipe["ema"]["decay"]
        self.images = jax.numpy.asarray(
            np.random.default_rng(0).uniform(-1, 1, (IMAGES, PIXELS)).astype("float32")
        )
        weights_of_g = values(self.generator.trainable_variables)
        self.state = {
            "g": weights_of_g,
            "statistics": values(self.generator.non_trainable_variables),
            "d": values(self.discriminator.trainable_variables),
            "optimizer_g": values(self.of_g.variables),
            "optimizer_d": values(self.of_d.variables),
            # A copy: a buffer that is given to the step twice cannot be reused by it.
            "average": [w.copy() for w in weights_of_g] if self.decay else [],
            "key": jax.random.PRNGKey(0),
        }
        self.step = jax.jit(self.iteration, donate_argnums=0)

    def iteration(self, state):
        training = self.recipe["training"]
        state = dict(state)
        d = [self.update_d] * training["discriminator_steps"]
        g = [self.update_g] * training["generator_steps"]
        for update in g + d if training["first"] == "generator" else d + g:
            update(state)
        state["average"] = [
            self.decay * average + (1 - self.decay) * w
            for average, w in zip(state["average"], state["g"])
        ]
        return state

    def key(self, state):
        state["key"], key = jax.random.split(state["key"])
        return key

    def fake(self, state, weights):
        shape = (self.recipe["data"]["batch_size"], self.recipe["latent"]["dim"])
        if self.recipe["latent"]["prior"] == "uniform":
            z = jax.random.uniform(self.key(state), shape, minval=-1.0)
        else:
            z = jax.random.normal(self.key(state), shape)
        images, state["statistics"] = self.generator.stateless_call(
            weights, state["statistics"], z, training=True
        )
        return images

    def judge(self, weights, images):
        return self.discriminator.stateless_call(weights, [], images, training=True)[0]

    def update_d(self, state):
        rows = jax.random.randint(self.key(state), (self.recipe["data"]["batch_size"],), 0, IMAGES)
        real, fake = self.images[rows], self.fake(state, state["g"])

        def of_real(weights):
            return self.loss(self.judge(weights, real), 1.0)

        def of_fake(weights):
            return self.loss(self.judge(weights, fake), 0.0)

        losses = [lambda weights: of_real(weights) + of_fake(weights)]
        if self.recipe["training"]["discriminator_batch"] == "alternating":
            losses = [of_real, of_fake]
        for loss in losses:
            slopes = jax.grad(loss)(state["d"])
            state["d"], state["optimizer_d"] = self.of_d.stateless_apply(
                state["optimizer_d"], slopes, state["d"]
            )
        clip = self.recipe["constraints"]["weight_clip"]
        if clip is not None:
            state["d"] = [w.clip(-clip, clip) for w in state["d"]]

    def update_g(self, state):
        def loss(weights):
            after = dict(state)
            loss = self.loss(self.judge(state["d"], self.fake(after, weights)), 1.0)
            return loss, (after["statistics"], after["key"])

        slopes, (state["statistics"], state["key"]) = jax.grad(loss, has_aux=True)(state["g"])
        state["g"], state["optimizer_g"] = self.of_g.stateless_apply(
            state["optimizer_g"], slopes, state["g"]
        )

    def loss(self, logits, target):
        if self.setting["objective"] == "wasserstein":
            return (1.0 - 2.0 * target) * logits.mean()
        return jax.nn.softplus((1.0 - 2.0 * target) * logits).mean()


def values(variables):
    return [variable.value for variable in variables]


def optimizer(section):
    epsilon = section["epsilon"] or 1e-8
    if section["name"] == "adam":
        return keras.optimizers.Adam(
            section["learning_rate"], section["beta1"], section["beta2"], epsilon=epsilon
        )
    return keras.optimizers.RMSprop(section["learning_rate"], rho=section["rho"], epsilon=epsilon)


def sampler(training):
    """Return a function that makes a batch of images, from numpy to numpy."""
    state, net = training.state, training.generator
    z = np.random.default_rng(0).normal(size=(SAMPLE_BATCH, training.recipe["latent"]["dim"]))
    z = z.astype("float32")
    draw = jax.jit(lambda z: net.stateless_call(state["g"], state["statistics"], z)[0])
    return lambda: np.asarray(draw(z))


def refuse(recipe, setting):
    """End the process for what the peer does not do, rather than time something else."""
    smoothing = recipe["objective"]["label_smoothing"]
    plain = (
        recipe["model"]["name"] in ("gan_mlp", "gan_mlp_bn")
        and tuple(setting["image_shape"]) == (1, 28, 28)
        and setting["objective"] in ("non_saturating", "wasserstein")
        and not setting["num_classes"]
        and not setting["terms"]
        and not any(smoothing.values())
        and not recipe["constraints"]["augment"]
        and recipe["training"]["discriminator_batch"] in ("separate", "alternating")
        and recipe["ema"]["half_life"] is None
        and trains_plainly(recipe)
    )
    if not plain:
        sys.exit("peer: only the shipped recipes of dense nets")


if __name__ == "__main__":
    main()
