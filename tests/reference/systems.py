"""The five systems in plain PyTorch: functions of a dictionary of the source's tensors.

Nothing here is a layer of a framework's own that could hide a convention: batch norm,
"same" padding, losses and optimizers are written out from the sources' definitions.
Keras's tensors keep Keras's order; images are ``[N, C, H, W]`` outside, and are brought
to H, W, C where the source flattens or reshapes.
"""

import torch
from torch.nn import functional as F


class Net:
    """One net: its tensors, and the statistics that train mode moves."""

    def __init__(self, forward, tensors, torch_names):
        self.run, self.torch_names = forward, torch_names
        moving = ("running_mean", "running_var", "moving_mean", "moving_variance")
        self.statistics = {
            n: torch.tensor(a, dtype=torch.float64)
            for n, a in tensors.items()
            if n.endswith(moving)
        }
        self.parameters = {
            n: torch.tensor(a, dtype=torch.float64, requires_grad=True)
            for n, a in tensors.items() if not n.endswith(moving)
        }  # fmt: skip
        self.training = True

    def __call__(self, x):
        return self.run(self, x)

    def tensor(self, layer, leaf):
        return self.parameters[f"{layer}{'.' if self.torch_names else '/'}{leaf}"]

    # Layers, by the source's definition.

    def dense(self, x, layer):
        if self.torch_names:  # [out, in]
            return x @ self.tensor(layer, "weight").T + self.tensor(layer, "bias")
        return x @ self.tensor(layer, "kernel") + self.tensor(layer, "bias")

    def norm(self, x, layer, momentum, epsilon):
        """Momentum is the share of the old average; the variance is the biased one."""
        names = ("weight", "bias", "running_mean", "running_var") if self.torch_names else (
            "gamma", "beta", "moving_mean", "moving_variance")  # fmt: skip
        gamma, beta = (self.tensor(layer, leaf) for leaf in names[:2])
        keys = [f"{layer}{'.' if self.torch_names else '/'}{leaf}" for leaf in names[2:]]
        axes = [0, *range(2, x.ndim)]
        if self.training:
            mean = x.mean(axes)
            variance = ((x - along_channels(mean, x)) ** 2).mean(axes)
            for key, batch in zip(keys, (mean, variance)):
                old = self.statistics[key]
                self.statistics[key] = old * momentum + batch.detach() * (1 - momentum)
        else:
            mean, variance = (self.statistics[key] for key in keys)
        x = (x - along_channels(mean, x)) / torch.sqrt(along_channels(variance, x) + epsilon)
        return x * along_channels(gamma, x) + along_channels(beta, x)

    def same_conv(self, x, layer, stride):
        """TensorFlow's "same": output ceil(size / stride), the odd zero at the end."""
        kernel = self.tensor(layer, "kernel").permute(3, 2, 0, 1)
        y = F.conv2d(F.pad(x, same_padding(x.shape[2:], kernel.shape[2], stride)), kernel,
                     stride=stride)  # fmt: skip
        return y + along_channels(self.tensor(layer, "bias"), y)

    def transposed_conv(self, x, layer, stride, same=True):
        """By definition the gradient of the convolution that goes the other way."""
        kernel = self.tensor(layer, "kernel").permute(3, 2, 0, 1)  # in, out, rows, columns
        size = [side * stride if same else side * stride + kernel.shape[2] - stride
                for side in x.shape[2:]]  # fmt: skip
        padding = same_padding(size, kernel.shape[2], stride) if same else (0, 0, 0, 0)
        with torch.enable_grad():
            image = torch.zeros(len(x), kernel.shape[1], *size, dtype=x.dtype, requires_grad=True)
            there = F.conv2d(F.pad(image, padding), kernel, stride=stride)
            (y,) = torch.autograd.grad(there, image, x, create_graph=True)
        return y + along_channels(self.tensor(layer, "bias"), y)


def along_channels(v, x):
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def same_padding(size, kernel, stride):
    rows, columns = (max((-(-side // stride) - 1) * stride + kernel - side, 0) for side in size)
    return (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)


def leaky(x, slope):
    return torch.maximum(x, slope * x)


def numbered(name, index):
    return name + (f"_{index}" if index else "")


# R1: the PyTorch twin (LeakyReLU 0.2) and the TensorFlow twin (ReLU).


def r1(depth, hidden, image_shape=None):
    def forward(net, x):
        x = x.reshape(len(x), -1)
        for index in range(depth):
            layer = f"net.{2 * index}" if net.torch_names else numbered("dense", index)
            x = net.dense(x, layer)
            if index < depth - 1:
                x = hidden(x)
        return x if image_shape is None else torch.tanh(x).reshape(-1, *image_shape)

    return forward


# R2: dense, LeakyReLU, batch norm.


def r2_generator(image_shape):
    def forward(net, x):
        for index in range(3):
            x = leaky(net.dense(x, numbered("dense", index)), 0.2)
            x = net.norm(x, numbered("batch_normalization", index), 0.8, 1e-3)
        return torch.tanh(net.dense(x, "dense_3")).reshape(-1, *image_shape)

    return forward


# R3: the Paddle book's DCGAN.


def r3_generator(net, z):
    x = F.relu(net.norm(net.dense(z, "fc1"), "bn1", 0.9, 1e-5))
    x = F.relu(net.norm(net.dense(x, "fc2"), "bn2", 0.9, 1e-5)).reshape(len(z), -1, 7, 7)
    x = F.relu(deconvolve(net, x, "deconv1"))
    return torch.tanh(deconvolve(net, x, "deconv2"))


def deconvolve(net, x, layer):
    """Stride 2, padding 2, output size given as twice the input's: one row more at the end."""
    return F.conv_transpose2d(
        x, net.tensor(layer, "weight"), net.tensor(layer, "bias"),
        stride=2, padding=2, output_padding=1,
    )  # fmt: skip


def r3_discriminator(net, images):
    def convolve(x, layer):
        x = F.conv2d(x, net.tensor(layer, "weight"), net.tensor(layer, "bias"))
        return F.max_pool2d(x, 2)

    x = leaky(convolve(images, "conv1"), 0.02)
    x = leaky(net.norm(convolve(x, "conv2"), "bn2", 0.9, 1e-5), 0.02)
    x = net.dense(x.reshape(len(x), -1), "fc3")
    x = leaky(net.norm(x, "bn3", 0.9, 1e-5), 0.02)
    return net.dense(x, "fc4")


# R4: DCGAN of TensorFlow 1, without its dropout.


def r4_generator(net, z):
    x = net.dense(z, "dense").reshape(len(z), 4, 4, -1).permute(0, 3, 1, 2)
    for index in range(3):
        x = leaky(net.norm(x, numbered("batch_normalization", index), 0.99, 1e-3), 0.01)
        x = net.transposed_conv(
            x, numbered("conv2d_transpose", index), 2 if index else 1, same=index > 0
        )
    return torch.tanh(x)


def r4_discriminator(net, images):
    x = leaky(net.same_conv(images, "conv2d", 2), 0.01)
    for index in (1, 2):
        x = net.same_conv(x, f"conv2d_{index}", 2)
        x = leaky(net.norm(x, numbered("batch_normalization", index - 1), 0.99, 1e-3), 0.01)
    return net.dense(x.permute(0, 2, 3, 1).reshape(len(x), -1), "dense")


# R5: DCGAN of Keras, images in [0, 1].


def r5_generator(net, z):
    x = net.dense(z, "dense").reshape(len(z), 7, 7, -1).permute(0, 3, 1, 2)
    for index in range(4):
        x = F.relu(net.norm(x, numbered("batch_normalization", index), 0.99, 1e-3))
        x = net.transposed_conv(x, numbered("conv2d_transpose", index), 2 if index < 2 else 1)
    return torch.sigmoid(x)


def r5_discriminator(net, images):
    x = images
    for index in range(4):
        x = net.same_conv(leaky(x, 0.2), numbered("conv2d", index), 2 if index < 3 else 1)
    return net.dense(x.permute(0, 2, 3, 1).reshape(len(x), -1), "dense")


SMALL = (1, 8, 8)
FORWARD = {
    "r1_pytorch": (r1(5, lambda x: leaky(x, 0.2), SMALL), r1(3, lambda x: leaky(x, 0.2))),
    "r1_tensorflow": (r1(5, F.relu, SMALL), r1(3, F.relu)),
    "r2": (r2_generator(SMALL), r1(3, lambda x: leaky(x, 0.2))),
    "r3": (r3_generator, r3_discriminator),
    "r4": (r4_generator, r4_discriminator),
    "r5": (r5_generator, r5_discriminator),
}


# The losses as the sources write them: a sigmoid, then the logarithms.


def bce(logits, target):
    p = torch.sigmoid(logits)
    return -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()


def discriminator_loss(name, kind, discriminator, real, fake):
    if kind == "D both":  # one batch, one mean
        labels = torch.cat([torch.ones(len(real), 1), torch.zeros(len(fake), 1)]).double()
        return bce(discriminator(torch.cat([real, fake])), labels)
    if kind == "D real":
        return bce(discriminator(real), 1.0)
    if kind == "D fake":
        return bce(discriminator(fake), 0.0)
    if name.endswith("wasserstein"):
        return discriminator(fake).mean() - discriminator(real).mean()
    return bce(discriminator(real), 0.9 if name == "r4" else 1.0) + bce(discriminator(fake), 0.0)


def generator_loss(name, logits):
    if name.endswith("wasserstein"):
        return -logits.mean()
    return bce(logits, 0.9 if name == "r4" else 1.0)


# The optimizers as the sources' frameworks define them.


class Adam:
    """PyTorch's: epsilon is added to the corrected root."""

    def __init__(self, parameters, rate, beta1, epsilon=1e-8):
        self.parameters, self.rate, self.beta1 = parameters, rate, beta1
        self.beta2, self.epsilon, self.t = 0.999, epsilon, 0
        self.m = [torch.zeros_like(p) for p in parameters]
        self.v = [torch.zeros_like(p) for p in parameters]

    def step(self, gradients):
        self.t += 1
        for p, g, m, v in zip(self.parameters, gradients, self.m, self.v):
            m.mul_(self.beta1).add_((1 - self.beta1) * g)
            v.mul_(self.beta2).add_((1 - self.beta2) * g * g)
            p.data -= self.move(m, v)

    def move(self, m, v):
        m, v = m / (1 - self.beta1**self.t), v / (1 - self.beta2**self.t)
        return self.rate * m / (v.sqrt() + self.epsilon)


class TensorFlowAdam(Adam):
    """TensorFlow's and Keras's: epsilon is added to the root before its correction."""

    def move(self, m, v):
        rate = self.rate * (1 - self.beta2**self.t) ** 0.5 / (1 - self.beta1**self.t)
        return rate * m / (v.sqrt() + self.epsilon)


class RMSprop:
    """Paddle's and Keras 3's: epsilon inside the root; here the rate falls by 1 + decay t."""

    def __init__(self, parameters, rate, decay, epsilon):
        self.parameters, self.rate, self.decay = parameters, rate, decay
        self.epsilon, self.t = epsilon, 0
        self.v = [torch.zeros_like(p) for p in parameters]

    def step(self, gradients):
        rate = self.rate / (1 + self.decay * self.t)
        self.t += 1
        for p, g, v in zip(self.parameters, gradients, self.v):
            v.mul_(0.9).add_(0.1 * g * g)
            p.data -= rate * g / self.root(v)

    def root(self, v):
        return (v + self.epsilon).sqrt()


class TensorFlowRMSprop(RMSprop):
    """That of tf.keras up to TensorFlow 2.10: epsilon outside the root."""

    def root(self, v):
        return v.sqrt() + self.epsilon


OPTIMIZERS = {  # for D and for G; with the recipes' epsilon
    "r1_pytorch": [lambda p: Adam(p, 2e-4, 0.5)] * 2,
    "r1_tensorflow": [lambda p: Adam(p, 2e-4, 0.5)] * 2,
    "r2": [lambda p: Adam(p, 2e-4, 0.5, 1e-7)] * 2,
    "r3": [lambda p: Adam(p, 2e-4, 0.9)] * 2,
    "r4": [lambda p: Adam(p, 1e-3, 0.9)] * 2,
    # D's loss is the mean over both batches: half the gradient, a quarter of epsilon.
    "r5": [lambda p: RMSprop(p, 2e-4, 6e-8, 1e-14), lambda p: RMSprop(p, 1e-4, 3e-8, 1e-14)],
}
SOURCE_OPTIMIZERS = {
    "r1_tensorflow": [lambda p: TensorFlowAdam(p, 2e-4, 0.5)] * 2,
    "r2": [lambda p: TensorFlowAdam(p, 2e-4, 0.5, 1e-7)] * 2,
    "r4": [lambda p: TensorFlowAdam(p, 1e-3, 0.9)] * 2,
    "r5": [lambda p: TensorFlowRMSprop(p, 2e-4, 6e-8, 1e-7),
           lambda p: TensorFlowRMSprop(p, 1e-4, 3e-8, 1e-7)],
}  # fmt: skip
