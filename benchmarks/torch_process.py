"""One recipe in plain PyTorch, timed in this process; prints a line of JSON.

Eager, D not frozen in G's updates, the optimizers as they come, losses on logits: what a
reader of the tutorials would have. Batches are indexed from images that lie ready in
memory, which is cheaper than the tutorials' DataLoader.
"""

import copy
import json
import sys
import time
from statistics import quantiles

import torch
from torch import nn
from torch_nets import CHANNELS, SIDE, build, fixed_z, parameters

IMAGES = 4096  # enough that no batch comes from the processor's cache
SAMPLE_BATCH = 128


class Training:
    """Updates of a recipe, given as the plain data of its YAML."""

    def __init__(self, recipe, freeze):
        self.recipe, self.freeze = recipe, freeze
        model, training = recipe["model"], recipe["training"]
        refuse(recipe)
        self.generator, self.discriminator = build(
            model["name"], recipe["latent"]["dim"], model["generator"], model["discriminator"]
        )
        self.optimizer_g = optimizer(self.generator, recipe["optimizer"]["generator"])
        self.optimizer_d = optimizer(self.discriminator, recipe["optimizer"]["discriminator"])
        self.wasserstein = recipe["objective"]["name"] == "wasserstein"
        self.criterion = nn.BCEWithLogitsLoss()
        self.smoothing = recipe["objective"]["label_smoothing"]
        self.clip = recipe["constraints"]["weight_clip"]
        self.decay = recipe["ema"]["decay"]
        self.ema = copy.deepcopy(self.generator).eval() if self.decay else None
        self.images = torch.rand(IMAGES, CHANNELS, SIDE, SIDE) * 2 - 1
        updates = [self.update_d] * training["discriminator_steps"]
        generator_updates = [self.update_g] * training["generator_steps"]
        first_g = training["first"] == "generator"
        self.updates = generator_updates + updates if first_g else updates + generator_updates

    def step(self):
        for update in self.updates:
            update()
        if self.ema is not None:
            self.update_ema()

    def z(self):
        shape = (self.recipe["data"]["batch_size"], self.recipe["latent"]["dim"])
        if self.recipe["latent"]["prior"] == "uniform":
            return torch.rand(shape) * 2 - 1
        return torch.randn(shape)

    def real(self):
        return self.images[torch.randint(IMAGES, (self.recipe["data"]["batch_size"],))]

    def update_d(self):
        real, kind = self.real(), self.recipe["training"]["discriminator_batch"]
        fake = self.generator(self.z()).detach()
        self.optimizer_d.zero_grad()
        if kind == "alternating":
            self.real_loss(self.discriminator(real)).backward()
            self.optimizer_d.step()
            self.optimizer_d.zero_grad()
            self.fake_loss(self.discriminator(fake)).backward()
        else:
            if kind == "concatenated":
                logits = self.discriminator(torch.cat([real, fake])).chunk(2)
            else:
                logits = self.discriminator(real), self.discriminator(fake)
            (self.real_loss(logits[0]) + self.fake_loss(logits[1])).backward()
        self.optimizer_d.step()
        if self.clip is not None:
            for p in self.discriminator.parameters():
                p.data.clamp_(-self.clip, self.clip)

    def update_g(self):
        self.optimizer_g.zero_grad()
        if self.freeze:
            self.discriminator.requires_grad_(False)
        logits = self.discriminator(self.generator(self.z()))
        if self.wasserstein:
            loss = -logits.mean()
        else:
            target = torch.full_like(logits, 1.0 - self.smoothing["generator"])
            loss = self.criterion(logits, target)
        loss.backward()
        self.optimizer_g.step()
        if self.freeze:
            self.discriminator.requires_grad_(True)

    def real_loss(self, logits):
        if self.wasserstein:
            return -logits.mean()
        return self.criterion(logits, torch.full_like(logits, 1.0 - self.smoothing["real"]))

    def fake_loss(self, logits):
        if self.wasserstein:
            return logits.mean()
        return self.criterion(logits, torch.full_like(logits, self.smoothing["fake"]))

    @torch.no_grad()
    def update_ema(self):
        for average, p in zip(self.ema.parameters(), self.generator.parameters()):
            average.mul_(self.decay).add_(p, alpha=1 - self.decay)
        for average, buffer in zip(self.ema.buffers(), self.generator.buffers()):
            average.copy_(buffer)


def refuse(recipe):
    """End the process for what the peer does not do, rather than time something else."""
    constraints = recipe["constraints"]
    plain = (
        recipe["objective"]["name"] in ("non_saturating", "wasserstein")
        and not recipe["terms"]
        and not constraints["augment"]
        and not constraints["instance_noise"]["std"]
        and constraints["packing"] == 1
        and recipe["training"]["accumulate_steps"] == 1
        and not any(constraints["spectral_norm"].values())
        and recipe["data"]["image_size"] in (None, SIDE)
        and recipe["data"]["channels"] in (None, CHANNELS)
    )
    if not plain:
        sys.exit("peer: only the objectives, sizes and constraints of the shipped recipes")


def optimizer(net, section):
    rate, epsilon = section["learning_rate"], section["epsilon"]
    options = {} if epsilon is None else {"eps": epsilon}
    if section["name"] == "adam":
        betas = (section["beta1"], section["beta2"])
        return torch.optim.Adam(net.parameters(), rate, betas, **options)
    if section["name"] == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), rate, alpha=section["rho"], **options)
    sys.exit(f"peer: no optimizer {section['name']}")


def sampler(training):
    """Return a function that makes a batch of images, from numpy to numpy."""
    net = training.generator.eval()
    z = fixed_z(SAMPLE_BATCH, training.recipe["latent"]["dim"]).numpy()

    def sample():
        with torch.no_grad():
            return net(torch.from_numpy(z)).numpy()

    return sample


def main():
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["threads"])
    training = Training(request["recipe"], freeze=request["variant"] == "freeze")
    run = sampler(training) if request["sample"] else training.step
    for _ in range(request["warmup"]):
        run()
    milliseconds, end = [], time.perf_counter() + request["seconds"]
    while len(milliseconds) < request["iterations"] or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        milliseconds.append(1e3 * (time.perf_counter() - start))
    lower, median, upper = quantiles(milliseconds * 2, n=4, method="inclusive")
    print(json.dumps({
        "ms": median,
        "quartiles": [lower, upper],
        "iterations": len(milliseconds),
        "parameters": [parameters(training.generator), parameters(training.discriminator)],
        "torch": torch.__version__,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
