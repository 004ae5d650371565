"""The training of a newer model in plain PyTorch: updates of D and G, lazy steps, the average."""

import torch
from reference.modern_cases import BATCH, CASES, Draws, codes, real_images
from reference.modern_losses import OBJECTIVES, Moment, gradient_penalty, redrawing
from reference.modern_systems import SYSTEMS


class Training:
    """Three nets at most, two optimizers, an average of G.

    Args:
        name: A key of ``SYSTEMS``.

    Attributes:
        memory: What terms remember.
        rng: Draws of penalties and terms in the running iteration.
    """

    def __init__(self, name):
        self.name, self.case, self.system = name, CASES[name], SYSTEMS[name]
        self.model_draws = self.rng = None
        self.nets = self.system.nets(lambda: self.model_draws)
        self.memory, self.optimizers = {}, {}
        self.begin(0)
        for net in self.nets.values():
            net.training = False
        with torch.no_grad():  # every tensor comes into being; nothing moves in eval mode
            z, labels = self.code(0, 0)
            self.generate(z, labels)
            said = self.judge(*real_batch(name, 0, 0))
            if redrawing in self.system.of_d:
                redrawing(Moment(self, 0, real_batch(name, 0, 0), None, z, said))
        self.begin(0)
        for net in self.nets.values():
            net.training = True
        self.average = {k: p.detach().clone() for k, p in self.nets["generator"].parameters.items()}

    def begin(self, iteration):
        self.model_draws = Draws(self.name, iteration, "model")
        self.rng = Draws(self.name, iteration, "terms")

    def code(self, iteration, number, count=BATCH):
        return tensors(*codes(self.name, iteration, number, count))

    def generate(self, z, labels):
        return self.nets["generator"](z, labels)

    def judge(self, images, labels, z=None):
        """D's logits and what else it says; of a pair where there is an encoder."""
        if "encoder" not in self.nets:
            return self.nets["discriminator"](images, labels)
        z = self.nets["encoder"](images) if z is None else z
        return self.nets["discriminator"](images, z)

    def learning(self, side):
        """The tensors that learn in D's updates, or in those of G and the other nets."""
        nets = [key for key in self.nets if (key == "discriminator") == (side == "d")]
        return {(key, name): p for key in nets for name, p in self.nets[key].parameters.items()}

    def losses_of_d(self, t, real, code):
        z, labels = code
        if self.system.objective == "pairing" or gradient_penalty in self.system.of_d:
            labels = real[1]  # each real image goes with a fake one of its class
        with torch.no_grad():
            images = self.generate(z, labels)
        of_real, of_fake = self.judge(*real), self.judge(images, labels, z)
        loss = OBJECTIVES[self.system.objective][0](
            of_real[0], of_fake[0], lambda: self.model_draws
        )
        moment = Moment(self, t, real, (images, labels), z, of_real, of_fake)
        return loss + sum(term(moment) for term in self.system.of_d)

    def losses_of_g(self, t, real, code):
        z, labels = code
        pairing = self.system.objective == "pairing"
        labels = real[1] if pairing else labels
        of_real = self.judge(*real) if pairing else (None, {})
        images = self.generate(z, labels)
        of_fake = self.judge(images, labels, z)
        loss = OBJECTIVES[self.system.objective][1](of_fake[0], of_real[0])
        moment = Moment(self, t, real, (images, labels), z, of_real, of_fake)
        return loss + sum(term(moment) for term in self.system.of_g)

    def gradients(self, side, loss):
        """Of all that learns; zero where a lazy term has none, as in StyleGAN2's code."""
        learning = self.learning(side)
        found = torch.autograd.grad(
            loss, list(learning.values()), allow_unused=True, materialize_grads=True
        )
        return dict(zip(learning, found))

    def iterate(self, t):
        self.begin(t)
        case, d_steps = self.case, self.case.d_steps
        of_d = [("d", number, number) for number in range(d_steps)]
        of_g = ("g", d_steps, d_steps if case.fresh_reals else d_steps - 1)
        if case.g_first:
            of_d, of_g = [("d", 1, 0)], ("g", 0, 0)
        for side, code, real in [of_g, *of_d] if case.g_first else [*of_d, of_g]:
            code = self.code(t, code, BATCH * (case.g_multiple if side == "g" else 1))
            real = real_batch(self.name, t, real)
            losses = self.losses_of_d if side == "d" else self.losses_of_g
            self.step(side, t, losses(t, real, code))
            lazy = getattr(self.system, f"lazy_{side}")
            if lazy and t % lazy[0] == 0:
                loss = lazy[0] * lazy[1](Moment(self, t, real, None, code[0]))
                self.step(side, t, loss)
        self.follow(t)

    def step(self, side, t, loss):
        """One of Adam; of lazy terms' steps as well, rate and betas are corrected."""
        system, gradients = self.system, self.gradients(side, loss)
        lazy = getattr(system, f"lazy_{side}")
        share = lazy[0] / (lazy[0] + 1) if lazy else 1.0
        rate = (system.rate_d if side == "d" else system.rate_g)(t) * share
        betas = system.beta1**share if system.beta1 else 0.0, system.beta2(t) ** share
        if side not in self.optimizers:
            self.optimizers[side] = torch.optim.Adam(
                self.learning(side).values(), weight_decay=system.weight_decay, eps=1e-8
            )
        self.optimizers[side].param_groups[0].update(lr=rate, betas=betas)
        for key, parameter in self.learning(side).items():
            parameter.grad = gradients[key]
        self.optimizers[side].step()

    def follow(self, t):
        """The average."""
        if self.system.decay is None:
            return
        decay = self.system.decay(t, BATCH * self.case.d_steps)
        for name, value in self.nets["generator"].parameters.items():
            self.average[name] = decay * self.average[name] + (1 - decay) * value.detach()


def real_batch(name, iteration, number):
    return tensors(*real_images(name, iteration, number))


def tensors(values, labels):
    return torch.tensor(values).double(), None if labels is None else torch.tensor(labels)
