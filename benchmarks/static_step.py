"""Eager steps against steps whose losses are captured as static programs, in turns.

Shows why training is eager: Paddle's static programs take as long as its eager operations,
or longer. G's images for D come from a capture of their own that never saw a gradient: one
called first under ``no_grad`` would be kept without its backward, and G would not learn.
"""

import argparse
import statistics
import time
import warnings
from dataclasses import replace

import numpy as np

from ppgan_zoo import runtime


def captured(gan):
    """Return a trainer of the non-saturating game whose losses are static programs."""
    import paddle
    from paddle.nn import functional as F

    from ppgan_zoo import make_trainer
    from ppgan_zoo.game.game import Game
    from ppgan_zoo.models.gan import Gan

    def of_discriminator(real, fake):
        real_logits, fake_logits = gan.discriminator(real), gan.discriminator(fake)
        return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()

    def of_generator(z):
        return F.softplus(-gan.discriminator(gan.generator(z))).mean()

    def images(z):
        return gan.generator(z)

    programs = [
        paddle.jit.to_static(function, full_graph=True)
        for function in (of_discriminator, of_generator, images)
    ]

    class Captured(Game):
        accelerated = False  # a program cannot hold what is not Paddle's own operation

        def discriminator_loss(self, gan, real, fake, moment):
            return programs[0](real.images, fake.images), {}

        def generator_loss(self, gan, real, code, moment):
            return programs[1](code.z), {}

    class Door(Gan):
        def generate(self, code):  # of D's updates; those of G are in the program above
            return programs[2](code.z)

    gan.spec = replace(gan.spec, game=Captured)
    return make_trainer(Door(gan.spec, *gan.nets.values()), objective="non_saturating")


def main():
    """Time both on each model and print a line for it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", default="gan_mlp,gan_mlp_bn,dcgan_fashion")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--iterations", type=int, default=50)
    options = parser.parse_args()
    runtime.start("cpu")
    warnings.filterwarnings("ignore", message="Tensor do not have 'place'")
    import paddle

    import ppgan_zoo
    from ppgan_zoo import make_trainer

    for name in options.models.split(","):
        trainers = {}
        for kind in ("eager", "static"):
            paddle.seed(0)
            gan = ppgan_zoo.create(name)
            if kind == "eager":
                trainers[kind] = make_trainer(gan, objective="non_saturating")
            else:
                trainers[kind] = captured(gan)
        shape = (options.batch_size, *trainers["eager"].gan.image_shape)
        real = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
        times = {kind: [] for kind in trainers}
        for _ in range(options.iterations):
            for kind, trainer in trainers.items():
                start = time.perf_counter()
                trainer.step(real)
                times[kind].append(time.perf_counter() - start)
        eager, static = (statistics.median(times[kind][5:]) for kind in ("eager", "static"))
        print(
            f"{name}: eager {1e3 * eager:.1f} ms, static {1e3 * static:.1f} ms, "
            f"eager / static {eager / static:.2f}"
        )


if __name__ == "__main__":
    main()
