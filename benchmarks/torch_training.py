"""The updates of a recipe in plain PyTorch.

As a reader of the tutorials, or of a model's own code, would have it (``eager``); with D frozen in
G's updates (``freeze``); that, maps stored channels last and the optimizer fused (``best``); or D
frozen, the optimizer fused and both nets compiled (``compile``). Batches are indexed from images
that lie ready in memory, which is cheaper than the tutorials' DataLoader.
"""

import copy
import sys

import torch
from peer_process import IMAGES, trains_plainly
from torch_nets import CHANNELS, CLASSIC, MODERN, SIDE, build
from torch_objectives import AUGMENTATIONS, OBJECTIVES, PathLength, zero_centred_penalty


class Training:
    """Updates of a recipe.

    Args:
        recipe: The plain data of its YAML.
        setting: What the zoo made of it: ``image_shape``, ``num_classes``, ``objective`` and
            ``terms``.
        variant: How it is written; see the top of this file.
    """

    def __init__(self, recipe, setting, variant):
        self.recipe, self.freeze = recipe, variant != "eager"
        model, training = recipe["model"], recipe["training"]
        refuse(recipe, setting, variant)
        self.image_shape, self.classes = setting["image_shape"], setting["num_classes"]
        self.generator, self.discriminator = build(
            model["name"], recipe["latent"]["dim"], self.image_shape, self.classes,
            model["generator"], model["discriminator"],
        )  # fmt: skip
        order = torch.channels_last if variant == "best" else torch.contiguous_format
        self.generator.to(memory_format=order)
        self.discriminator.to(memory_format=order)
        fused = variant in ("best", "compile")
        self.optimizer_g = optimizer(self.generator, recipe["optimizer"]["generator"], fused)
        self.optimizer_d = optimizer(
            self.discriminator, recipe["optimizer"]["discriminator"], fused
        )
        self.objective = OBJECTIVES[setting["objective"]](recipe["objective"]["label_smoothing"])
        self.relativistic = getattr(self.objective, "relativistic", False)
        self.terms = {term["name"]: term for term in setting["terms"]}
        self.path_length, self.iteration = PathLength(), 0
        self.clip = recipe["constraints"]["weight_clip"]
        self.decay = decay_of(recipe)
        self.ema = copy.deepcopy(self.generator).eval() if self.decay else None
        if variant == "compile":
            self.generator.compile()
            self.discriminator.compile()
        images = torch.rand(IMAGES, *self.image_shape) * 2 - 1
        self.images = images.contiguous(memory_format=order)
        self.labels = torch.randint(self.classes, (IMAGES,)) if self.classes else None
        updates = [self.update_d] * training["discriminator_steps"]
        generator_updates = [self.update_g] * training["generator_steps"]
        first_g = training["first"] == "generator"
        self.updates = generator_updates + updates if first_g else updates + generator_updates

    def step(self):
        """Do one iteration."""
        self.made = None
        for update in self.updates:
            update()
        if self.ema is not None:
            self.update_ema()
        self.iteration += 1

    def fake(self, labels):
        """New images, or those of the iteration where both nets learn from the same (FastGAN)."""
        if self.made is None or not self.recipe["latent"]["shared"]:
            self.last_z = self.z()
            self.made = self.generator(self.last_z, *labels)
        return self.made

    def z(self):
        shape = (self.recipe["data"]["batch_size"], self.recipe["latent"]["dim"])
        if self.recipe["latent"]["prior"] == "uniform":
            return torch.rand(shape) * 2 - 1
        return torch.randn(shape)

    def real(self):
        rows = torch.randint(IMAGES, (self.recipe["data"]["batch_size"],))
        labels = () if self.labels is None else (self.labels[rows],)
        return self.images[rows], labels

    def labels_for(self, labels):
        """Those of the real images if images are paired, else new ones."""
        if self.relativistic or not labels:
            return labels
        return (torch.randint(self.classes, labels[0].shape),)

    def shown(self, images):
        for name in self.recipe["constraints"]["augment"]:
            images = AUGMENTATIONS[name](images)
        return images

    def update_d(self):
        (real, labels), kind = self.real(), self.recipe["training"]["discriminator_batch"]
        fake_labels = self.labels_for(labels)
        real, fake = self.shown(real), self.shown(self.fake(fake_labels)).detach()
        self.optimizer_d.zero_grad()
        if kind == "alternating":
            self.objective.of_real(self.discriminator(real)).backward()
            self.optimizer_d.step()
            self.optimizer_d.zero_grad()
            self.objective.of_fake(self.discriminator(fake)).backward()
        else:
            self.loss_of_d(real, labels, fake, fake_labels, kind).backward()
        self.optimizer_d.step()
        if self.clip is not None:
            for p in self.discriminator.parameters():
                p.data.clamp_(-self.clip, self.clip)
        self.lazy_r1(real, labels)

    def loss_of_d(self, real, labels, fake, fake_labels, kind):
        """The objective, and the terms that are due in each update."""
        for images, penalty in ((real, "r1"), (fake, "r2")):
            images.requires_grad_(self.due(penalty))
        maps = None
        if kind == "concatenated":
            of_real, of_fake = self.discriminator(torch.cat([real, fake])).chunk(2)
        elif "reconstruction" in self.terms:
            of_real, maps = self.discriminator.seen(real)
            of_fake = self.discriminator(fake)
        else:
            of_real = self.discriminator(real, *labels)
            of_fake = self.discriminator(fake, *fake_labels)
        loss = self.objective.discriminator(of_real, of_fake)
        for images, logits, penalty in ((real, of_real, "r1"), (fake, of_fake, "r2")):
            if self.due(penalty):
                weight = self.terms[penalty]["weight"]
                loss = loss + weight * zero_centred_penalty(images, logits)
        if maps is not None:
            loss = loss + self.discriminator.reconstruction(maps, real)
        return loss

    def due(self, name):
        return name in self.terms and self.terms[name]["every_steps"] == 1

    def lazily_due(self, name):
        every = self.terms[name]["every_steps"] if name in self.terms else 1
        return every > 1 and self.iteration % every == 0

    def lazy_r1(self, real, labels):
        """A step of its own now and then, with as many times the weight."""
        if not self.lazily_due("r1"):
            return
        term, real = self.terms["r1"], real.detach().requires_grad_()
        self.optimizer_d.zero_grad()
        penalty = zero_centred_penalty(real, self.discriminator(real, *labels))
        (term["weight"] * term["every_steps"] * penalty).backward()
        self.optimizer_d.step()

    def update_g(self):
        self.optimizer_g.zero_grad()
        self.discriminator.requires_grad_(not self.freeze)
        real, labels = self.real()
        fake_labels = self.labels_for(labels)
        of_fake = self.discriminator(self.shown(self.fake(fake_labels)), *fake_labels)
        if self.relativistic:
            of_real = self.discriminator(self.shown(real), *labels)
            loss = self.objective.generator(of_fake, of_real)
        else:
            loss = self.objective.generator(of_fake)
        loss.backward()
        self.optimizer_g.step()
        self.discriminator.requires_grad_(True)
        if self.lazily_due("path_length"):
            term = self.terms["path_length"]
            self.optimizer_g.zero_grad()
            length = self.path_length(self.generator, self.last_z, *(fake_labels or (None,)))
            (term["weight"] * term["every_steps"] * length).backward()
            self.optimizer_g.step()

    @torch.no_grad()
    def update_ema(self):
        for average, p in zip(self.ema.parameters(), self.generator.parameters()):
            average.mul_(self.decay).add_(p, alpha=1 - self.decay)
        for average, buffer in zip(self.ema.buffers(), self.generator.buffers()):
            average.copy_(buffer)


def refuse(recipe, setting, variant):
    """End the process for what the peer does not do, rather than time something else."""
    constraints, model = recipe["constraints"], recipe["model"]["name"]
    if model not in {**CLASSIC, **MODERN}:
        sys.exit(f"peer: no net for {model}")
    terms = {term["name"] for term in setting["terms"]}
    plain = (
        setting["objective"] in OBJECTIVES
        and terms <= {"r1", "r2", "path_length", "reconstruction"}
        and set(constraints["augment"]) <= set(AUGMENTATIONS)
        and constraints["augment_probability"] == 1.0
        and trains_plainly(recipe)
    )
    if model in CLASSIC:
        plain &= tuple(setting["image_shape"]) == (CHANNELS, SIDE, SIDE)
        plain &= not terms and not setting["num_classes"]
    if model == "fastgan":
        plain &= tuple(setting["image_shape"][1:]) == (64, 64)
    if not plain:
        sys.exit("peer: only the objectives, sizes and constraints of the shipped recipes")
    if variant == "compile" and terms & {"r1", "r2", "path_length"}:
        sys.exit("peer: PyTorch does not compile the gradient of a gradient")


def decay_of(recipe):
    """Return the average's decay, late in a run if it changes; None for no average."""
    section = recipe["ema"]
    if section["half_life"] is None:
        return section["decay"]
    half_life = section["half_life"]
    half_life = half_life["last"] if isinstance(half_life, dict) else half_life
    return 0.5 ** (recipe["data"]["batch_size"] / half_life)


def optimizer(net, section, fused):
    """Return a net's optimizer as it is in the first iteration."""
    rate, epsilon = section["learning_rate"], section["epsilon"]
    options = {} if epsilon is None else {"eps": epsilon}
    if section["name"] == "adam":
        options |= {"fused": True} if fused else {}
        beta2 = section["beta2"]
        beta2 = beta2["first"] if isinstance(beta2, dict) else beta2
        return torch.optim.Adam(net.parameters(), rate, (section["beta1"], beta2), **options)
    if section["name"] == "rmsprop":
        return torch.optim.RMSprop(net.parameters(), rate, alpha=section["rho"], **options)
    sys.exit(f"peer: no optimizer {section['name']}")
