"""The max-pooling of dcgan's D: Paddle's own numbers, kept inside where an image is NaN."""

import subprocess
import sys

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F

from ppgan_zoo.game.gradient_penalties import squared_gradient_norms
from ppgan_zoo.models.resampling import max_pooled


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (4, 2, 9, 7)])
def test_pooling_and_its_gradient_are_paddles(shape):
    values = np.random.default_rng(0).integers(0, 3, shape).astype(np.float32)  # with many ties
    found = []
    for pool in (max_pooled, lambda x: F.max_pool2d(x, 2, 2, return_mask=True)[0]):
        x = paddle.to_tensor(values, stop_gradient=False)
        pooled = pool(x)
        (pooled * pooled + pooled).sum().backward()
        found.append((pooled.numpy(), x.grad.numpy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


class Small(nn.Layer):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2D(1, 3, 3)
        self.hidden, self.last = nn.Linear(27, 4), nn.Linear(4, 1)

    def forward(self, images):
        x = max_pooled(F.leaky_relu(self.convolution(images), 0.2))
        return self.last(F.sigmoid(self.hidden(x.reshape([x.shape[0], -1]))))


def test_its_second_derivative_equals_finite_differences():
    paddle.set_default_dtype("float64")
    try:
        paddle.seed(0)
        net, images = Small(), paddle.randn([3, 1, 8, 8])
        squared_gradient_norms(net, images).mean().backward()
        rng = np.random.default_rng(1)
        for name, parameter in net.named_parameters():
            direction, weight, ends = rng.normal(size=parameter.shape), parameter.numpy(), []
            for step in (1e-6, -1e-6):
                parameter.set_value(weight + step * direction)
                ends.append(float(squared_gradient_norms(net, images).mean()))
            parameter.set_value(weight)
            gradient = 0.0 if parameter.grad is None else parameter.grad.numpy()
            got = float(np.sum(gradient * direction))
            assert got == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8), name
    finally:
        paddle.set_default_dtype("float32")


def test_nan_in_every_window_harms_nothing_else():
    """Paddle's own backward wrote before the gradient's memory: a crash, or a hang."""
    script = """
import numpy as np
from ppgan_zoo import runtime
runtime.start("cpu", 1)
import ppgan_zoo
gan = ppgan_zoo.create("dcgan", generator={"hidden_units": 8, "channels": 4},
                       discriminator={"channels": (4, 4), "hidden_units": 8})
trainer = ppgan_zoo.make_trainer(gan)
for _ in range(30):
    scalars = trainer.step(np.full((8, 1, 28, 28), np.nan, np.float32))
print(np.isnan(scalars["loss/discriminator"].item()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "True"), done.stderr
