"""Arrays as tensors: equal, apart from the array, and with nothing left behind."""

import gc

import numpy as np
import paddle
import pytest

import ppgan_zoo
from ppgan_zoo.ops.arrays import Constant, from_array

SMALL = {
    "dcgan": {},
    "sngan": {"generator": {"channels": [4, 4, 4]}, "discriminator": {"channels": [4, 4, 4, 4]}},
    "stylegan2": {
        "generator": {"channels": [4, 4, 4], "w_dim": 4},
        "discriminator": {"channels": [4, 4, 4]},
    },
}


@pytest.mark.parametrize("kind", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (3,), (0, 2), (2, 3, 4)])
def test_a_tensor_is_a_copy_of_the_array(kind, shape):
    array = np.asarray(np.random.default_rng(0).integers(0, 2, shape), kind)
    tensor = from_array(array)
    wanted = paddle.to_tensor(array)
    assert tensor.dtype == wanted.dtype and tensor.shape == wanted.shape
    assert tensor.stop_gradient and str(tensor.place) == str(wanted.place)
    assert (tensor.numpy() == array).all()
    before = tensor.numpy().copy()
    array += np.ones((), kind)
    assert (tensor.numpy() == before).all()


def test_rows_that_do_not_lie_one_after_the_other_are_copied_in_order():
    array = np.arange(24.0).reshape(4, 6)
    assert (from_array(array[::2, ::-1].T).numpy() == array[::2, ::-1].T).all()


def test_numbers_in_the_other_order_of_bytes_are_as_paddle_reads_them():
    array = np.arange(3, dtype=np.float32)
    for given in (array.astype(">f4"), array.astype("<f2"), array.astype("int16")):
        try:
            wanted = paddle.to_tensor(given)
        except (TypeError, ValueError, RuntimeError) as error:
            with pytest.raises(type(error)):
                from_array(given)
        else:
            assert (from_array(given).numpy() == wanted.numpy()).all()


def test_tensors_and_lists_are_taken_too():
    assert from_array(paddle.ones([2])).tolist() == [1.0, 1.0]
    assert from_array([[1.0], [2.0]]).shape == [2, 1]


def test_a_constant_is_one_tensor_for_each_type():
    constant = Constant(np.array([[0.1, 0.2]]))
    single, double = paddle.ones([1]), paddle.ones([1], "float64")
    assert constant.like(single) is constant.like(single * 2.0)
    assert constant.like(single).dtype == paddle.float32
    assert (constant.like(double).numpy() == [[0.1, 0.2]]).all()


@pytest.mark.parametrize("name", SMALL)
def test_steps_leave_no_list_behind(name):
    trainer = ppgan_zoo.make_trainer(ppgan_zoo.create(name, **SMALL[name]))
    images = np.random.default_rng(0).uniform(-1, 1, (4, 1, 28, 28)).astype(np.float32)

    def lists():
        gc.collect()
        return sum(type(one) is list for one in gc.get_objects())

    for _ in range(4):
        trainer.step(images)
    before = lists()
    for _ in range(10):
        trainer.step(images)
    assert lists() - before < 10  # not one a step; Paddle left 26 with sngan
