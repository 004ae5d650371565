"""Conventions of PyTorch and Keras, each against that framework's own recorded output.

The rows of docs/porting.md name these tests. ``reference/record_conventions.py`` wrote
the numbers.
"""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import paddle
import pytest
from paddle import nn
from paddle.nn import functional as F
from safetensors.numpy import save_file

from ppgan_zoo.convert.porting import convert_weights, read_weights
from ppgan_zoo.errors import CheckpointError
from ppgan_zoo.game.schedules import constant, inverse_time
from ppgan_zoo.models.layers import Dropout, same_crop, same_size
from ppgan_zoo.models.weights import load_arrays
from ppgan_zoo.training.optimizers import make_optimizer

RECORDED = dict(np.load(Path(__file__).parents[1] / "reference" / "conventions.npz"))


def tensors(label, separator):
    return {key.replace("/", separator): array for key, array in RECORDED.items()
            if key.startswith(f"{label}/") and not key.endswith("/output")}  # fmt: skip


def ported(layer, label, framework):
    """Put the recorded weights into `layer`, by the porting helper."""
    net = nn.Sequential(layer)
    given = tensors(label, "." if framework == "torch" else "/")
    load_arrays(net, convert_weights(net, given, {"0": label}, framework=framework))
    return net


def assert_output(layer, x, label):
    np.testing.assert_allclose(
        layer(paddle.to_tensor(x)).numpy(), RECORDED[f"{label}/output"], atol=1e-5
    )


IMAGE, ROWS = RECORDED["image"], RECORDED["rows"]


def test_dense_weights_of_pytorch_are_transposed():
    assert_output(ported(nn.Linear(5, 3), "torch_linear", "torch"), ROWS, "torch_linear")


def test_dense_weights_of_keras_are_as_they_are():
    assert_output(ported(nn.Linear(5, 3), "keras_dense", "keras"), ROWS, "keras_dense")


def test_convolutions_of_pytorch_are_as_they_are():
    assert_output(ported(nn.Conv2D(3, 2, 3, padding=1), "torch_conv", "torch"), IMAGE, "torch_conv")
    transposed = nn.Conv2DTranspose(3, 2, 5, stride=2, padding=2, output_padding=1)
    assert_output(ported(transposed, "torch_transposed", "torch"), IMAGE, "torch_transposed")


@pytest.mark.parametrize(("label", "side"), [("same_conv3", 6), ("same_conv5", 7)])
def test_same_padding_of_a_strided_convolution(label, side):
    layer = nn.Conv2D(3, 2, int(label[-1]), stride=2, padding="SAME")
    x = np.ascontiguousarray(IMAGE[:, :, :side, :side])
    assert_output(ported(layer, label, "keras"), x, label)
    wanted = RECORDED[f"{label}/output"]
    assert wanted.shape[2] == same_size(side, (2,))
    symmetric = F.conv2d(paddle.to_tensor(x), layer.weight, layer.bias, 2, int(label[-1]) // 2)
    # Padding alike on both sides is the same only where the number of zeros is even.
    assert (np.abs(symmetric.numpy() - wanted).max() < 1e-5) == (label == "same_conv5")


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_same_padding_of_a_transposed_convolution(kernel_size):
    label = f"same_transposed{kernel_size}"
    layer = nn.Conv2DTranspose(3, 2, kernel_size, stride=2, padding=same_crop(kernel_size, 2))
    assert_output(ported(layer, label, "keras"), IMAGE, label)


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_paddles_own_ways_to_double_a_side_are_not_tensorflows(kernel_size):
    label = f"same_transposed{kernel_size}"
    kernel = paddle.to_tensor(RECORDED[f"{label}/kernel"].transpose(3, 2, 0, 1).copy())
    image, wanted = paddle.to_tensor(IMAGE), RECORDED[f"{label}/output"]
    assert F.conv2d_transpose(image, kernel, stride=2, padding="SAME").shape[2] == 13
    shifted = F.conv2d_transpose(
        image, kernel, stride=2, padding=(kernel_size - 1) // 2, output_padding=1
    )
    assert tuple(shifted.shape) == wanted.shape
    assert np.abs(shifted.numpy() - wanted).max() > 0.1


def test_valid_padding_of_a_transposed_convolution():
    layer = ported(nn.Conv2DTranspose(3, 2, 4), "valid_transposed4", "keras")
    assert_output(layer, IMAGE, "valid_transposed4")


def test_batch_norm_of_keras():
    norm = nn.BatchNorm2D(3, momentum=0.99, epsilon=1e-3)
    assert_output(norm, IMAGE, "keras_norm")
    np.testing.assert_allclose(norm._mean.numpy(), RECORDED["keras_norm/moving_mean"], atol=1e-6)
    np.testing.assert_allclose(
        norm._variance.numpy(), RECORDED["keras_norm/moving_variance"], atol=1e-6
    )


def test_batch_norm_of_pytorch_keeps_an_unbiased_variance():
    norm = nn.BatchNorm2D(3)  # momentum 0.9 is PyTorch's 0.1; epsilon 1e-5
    assert_output(norm, IMAGE, "torch_norm")
    np.testing.assert_allclose(norm._mean.numpy(), RECORDED["torch_norm/running_mean"], atol=1e-6)
    count = IMAGE.size / IMAGE.shape[1]
    unbiased = 0.9 + (norm._variance.numpy() - 0.9) * count / (count - 1)
    np.testing.assert_allclose(unbiased, RECORDED["torch_norm/running_var"], atol=1e-6)
    assert np.abs(norm._variance.numpy() - RECORDED["torch_norm/running_var"]).max() > 1e-4


def test_leaky_relu_slopes():
    assert_output(nn.LeakyReLU(0.01), ROWS, "torch_leaky")
    assert_output(nn.LeakyReLU(0.3), ROWS, "keras_leaky")
    assert_output(nn.LeakyReLU(), ROWS, "torch_leaky")


def test_dropout_scales_what_it_keeps():
    values = np.unique(Dropout(0.2)(paddle.ones([40, 50])).numpy())
    np.testing.assert_array_equal(values, RECORDED["keras_dropout/values"])


def test_dropout_has_a_double_gradient():
    """d/dx of |d/dx sum (m x)^2|^2 = 8 m^4 x, with m 0 or 2."""
    x = paddle.to_tensor(np.full((20, 20), 0.5, np.float32), stop_gradient=False)
    dropped = Dropout(0.5)(x)
    (gradient,) = paddle.grad(dropped.square().sum(), [x], create_graph=True)
    gradient.square().sum().backward()
    m = dropped.numpy() / 0.5
    assert set(np.unique(m)) == {0.0, 2.0}
    np.testing.assert_allclose(x.grad.numpy(), 8 * m**4 * 0.5, rtol=1e-6)


def test_average_pooling_of_pytorch_without_its_padding():
    pool = nn.AvgPool2D(3, stride=2, padding=1, exclusive=True)
    assert_output(pool, IMAGE, "torch_average")


@pytest.mark.parametrize(
    ("label", "make"),
    [
        ("dense", lambda start: nn.Linear(500, 300, weight_attr=start)),
        ("conv", lambda start: nn.Conv2D(30, 40, 5, weight_attr=start)),
        ("transposed", lambda start: nn.Conv2DTranspose(30, 40, 5, weight_attr=start)),
    ],
)
def test_initial_weights_of_keras_are_glorot_uniform(label, make):
    """U(-b, b), b = sqrt(6 / (fan_in + fan_out)): the largest of many weights is close to b."""
    paddle.seed(0)
    layer = make(nn.initializer.XavierUniform())
    largest, deviation = RECORDED[f"keras_initial/{label}"]
    weight = layer.weight.numpy()
    np.testing.assert_allclose(np.abs(weight).max(), largest, rtol=2e-3)
    np.testing.assert_allclose(weight.std(), deviation, rtol=2e-2)
    assert not layer.bias.numpy().any()
    if label == "dense":  # the default of a Linear is the same
        np.testing.assert_allclose(
            np.abs(nn.Linear(500, 300).weight.numpy()).max(), largest, rtol=2e-3
        )


def after_steps(name, schedule=constant(1e-2), **options):
    layer = nn.Linear(8, 1, bias_attr=False)
    layer.weight.set_value(RECORDED["optimizer/start"].reshape(8, 1))
    optimizer = make_optimizer(layer, name, learning_rate=1e-2, **options)
    for step, gradient in enumerate(RECORDED["optimizer/gradients"]):
        optimizer.set_lr(schedule(step))
        layer.weight.grad = paddle.to_tensor(gradient.reshape(8, 1))
        optimizer.step()
        optimizer.clear_grad(set_to_zero=False)
    return layer.weight.numpy().reshape(8)


def test_adam_of_pytorch():
    found = after_steps("adam", beta1=0.5, beta2=0.999)
    np.testing.assert_allclose(found, RECORDED["torch_adam/after"], atol=1e-6)


def test_adam_of_keras_differs_where_a_gradient_is_near_its_epsilon():
    found = after_steps("adam", beta1=0.5, beta2=0.999, epsilon=1e-7)
    off = np.abs(found - RECORDED["keras_adam/after"])
    assert off[:4].max() < 1e-4  # gradients of 1e-3 and above, three steps of 1e-2
    assert 1e-3 < off[4:].max() < 3e-2


def test_rmsprop_of_keras_3():
    found = after_steps("rmsprop", rho=0.9, epsilon=1e-7)
    np.testing.assert_allclose(found, RECORDED["keras_rmsprop/after"], atol=1e-6)


def test_decay_of_keras():
    found = after_steps("rmsprop", inverse_time(1e-2, 0.5), rho=0.9, epsilon=1e-7)
    np.testing.assert_allclose(found, RECORDED["keras_decay/after"], atol=1e-6)


def test_rmsprop_with_its_epsilon_outside_the_root():
    """PyTorch's, and tf.keras's up to 2.10: its square inside the root is the nearest."""
    wanted = RECORDED["torch_rmsprop/after"]  # epsilon 1e-8
    squared = np.abs(after_steps("rmsprop", rho=0.99, epsilon=1e-16) - wanted)
    plain = np.abs(after_steps("rmsprop", rho=0.99, epsilon=1e-8) - wanted)
    assert squared[:4].max() < 1e-4  # gradients of about 1e-3 and above, steps of up to 0.1
    assert plain[:4].max() > 1e-3 and plain[4:].max() > 3 * squared[4:].max()


# The helper's own promises.


class Small(nn.Layer):
    def __init__(self):
        super().__init__()
        self.project = nn.Linear(2, 12)
        self.norm = nn.BatchNorm2D(3)
        self.score = nn.Linear(12, 1, bias_attr=False)


NAMES = {"project": "dense", "norm": "batch_normalization", "score": "dense_1"}


def small_weights():
    rng = np.random.RandomState(0)
    return {
        "dense/kernel:0": rng.randn(2, 12), "dense/bias:0": rng.randn(12),
        "batch_normalization/gamma": rng.randn(3), "batch_normalization/beta": rng.randn(3),
        "batch_normalization/moving_mean": rng.randn(3),
        "batch_normalization/moving_variance": rng.rand(3),
        "dense_1/kernel": rng.randn(12, 1),
    }  # fmt: skip


def test_dense_layers_beside_a_flattened_image_are_reordered():
    image = {"flattened": {"score": (3, 2, 2)}, "reshaped": {"project": (3, 2, 2)}}
    given = small_weights()
    found = convert_weights(Small(), given, NAMES, framework="keras", **image)
    z = np.random.RandomState(1).randn(4, 2)
    there = (z @ given["dense/kernel:0"] + given["dense/bias:0"]).reshape(4, 2, 2, 3)
    here = (z @ found["project.weight"] + found["project.bias"]).reshape(4, 3, 2, 2)
    np.testing.assert_allclose(here, there.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(
        here.reshape(4, -1) @ found["score.weight"],
        there.reshape(4, -1) @ given["dense_1/kernel"],
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, n: a.pop("dense_1/kernel"), "'dense_1/kernel', for 'score.weight', is missing"),
        (lambda a, n: a.update({"dense_2/kernel": np.zeros(1)}), "'dense_2/kernel' belongs to no"),
        (lambda a, n: n.pop("norm"), "'norm.weight' gets no tensor"),
        (lambda a, n: n.update({"scores": "dense_1"}), r"no layer 'scores' \(did you mean 'score'"),
        (lambda a, n: a.update({"dense_1/kernel": np.zeros((1, 12))}), "needs \\(12, 1\\)"),
        (lambda a, n: a.update({"dense/bias:0": np.zeros(())}), "needs \\(12,\\)"),
    ],
)
def test_anything_that_does_not_fit_is_one_line_and_changes_nothing(change, message):
    layer, arrays, names = Small(), small_weights(), dict(NAMES)
    before = {key: value.numpy() for key, value in layer.state_dict().items()}
    change(arrays, names)
    with pytest.raises(CheckpointError, match=message) as error:
        convert_weights(layer, arrays, names, framework="keras")
    assert "\n" not in str(error.value)
    for key, value in layer.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_an_image_of_another_size_than_the_dense_layer():
    with pytest.raises(CheckpointError, match="18 values, and the dense layer 12"):
        convert_weights(
            Small(), small_weights(), NAMES, framework="keras", flattened={"score": (2, 3, 3)}
        )


def bfloat16_file(path):
    header = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 4)


def damaged_npz(path):
    np.savez_compressed(path, a=np.arange(1000))
    content = bytearray(path.read_bytes())
    content[200:400] = bytes(200)
    path.write_bytes(content)


def bomb(path):
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
    with archive, archive.open("a.npy", "w", force_zip64=True) as file:
        for _ in range(1025):
            file.write(bytes(1 << 20))


def giant(path):
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.npy", "w") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (10**15,)}
        np.lib.format.write_array_header_1_0(file, header)


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("w.npz", bomb, "not readable as npz: unpacked it has 1074790400 bytes"),
        ("w.npz", giant, "not readable as npz"),
        ("w.safetensors", bfloat16_file, "holds numbers of type 'BF16'; give float32"),
        ("w.npz", lambda path: np.save(path.open("wb"), np.zeros(3)), "not readable as npz"),
        ("w.npz", lambda path: path.write_bytes(b""), "not readable as npz"),
        ("w.npz", damaged_npz, "not readable as npz"),
    ],
    ids=["bomb", "giant", "bfloat16", "an npy", "empty", "damaged"],
)
def test_a_file_of_weights_that_cannot_be_read_is_one_line(tmp_path, name, make, says):
    make(tmp_path / name)
    with pytest.raises(CheckpointError, match=says) as caught:
        read_weights(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_files_without_pickle(tmp_path):
    arrays = {"dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3)}
    np.savez(tmp_path / "w.npz", **arrays)
    save_file(arrays, tmp_path / "w.safetensors")
    for name in ("w.npz", "w.safetensors"):
        np.testing.assert_array_equal(
            read_weights(tmp_path / name)["dense/kernel"], arrays["dense/kernel"]
        )
        (tmp_path / name).write_bytes(b"damaged")
        with pytest.raises(CheckpointError, match="not readable"):
            read_weights(tmp_path / name)
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], dtype=object))
    for name in ("pickled.npz", "missing.npz", "weights.pt"):
        with pytest.raises(CheckpointError, match=name):
            read_weights(tmp_path / name)


@pytest.mark.parametrize("name", ["porting.md", "porting.zh.md"])
def test_every_test_that_the_table_names_exists(name):
    root = Path(__file__).parents[1]
    page = (root.parent / "docs" / name).read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 20
    written = "".join(
        (root / file).read_text()
        for file in ("convert/test_porting.py", "models/test_reference.py")
    )
    assert [test for test in sorted(named) if f"def {test}(" not in written] == []
