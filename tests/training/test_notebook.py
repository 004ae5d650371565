"""What a notebook shows of a trainer and of a sampler."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

import ppgan_zoo
from ppgan_zoo.data import to_uint8
from ppgan_zoo.evaluation.sampler import Sampler
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.storage.pictures import grid_html, image_grid


def picture_in(html):
    (data,) = re.findall(r'src="data:image/png;base64,([^"]*)"', html)
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.asarray(picture)


def trainer_of(**shared):
    gan = ppgan_zoo.create("gan_mlp", latent_dim=4, **shared)
    return ppgan_zoo.make_trainer(gan, ema_decay=0.9, seed=0)


@pytest.mark.parametrize("shared", [{}, {"num_classes": 10}])
def test_a_trainer_shows_its_samples_and_goes_on_as_before(batches, shared):
    trainer, other = trainer_of(**shared), trainer_of(**shared)
    html = trainer._repr_html_()
    assert "gan_mlp, iteration 0 (moving average)" in html
    wanted = to_uint8(trainer.samples(20), trainer.gan.image_range)
    np.testing.assert_array_equal(picture_in(html), image_grid(wanted, 10))
    if not shared:
        for name, net in other.gan.nets.items():
            net.set_state_dict(trainer.gan.nets[name].state_dict())
        trainer.step(batches[0])
        other.step(batches[0])
        trainer._repr_html_()
        trainer.step(batches[1])
        other.step(batches[1])
        for name, array in layer_arrays(trainer.gan.generator).items():
            np.testing.assert_array_equal(array, layer_arrays(other.gan.generator)[name])


def test_a_trainer_whose_numbers_are_lost_shows_something_all_the_same(monkeypatch):
    trainer = trainer_of()
    lost = np.full((20, 1, 28, 28), np.nan, np.float32)
    monkeypatch.setattr(trainer, "samples", lambda count: lost)
    assert picture_in(trainer._repr_html_()).shape == (2 * 58 + 2, 10 * 58 + 2)


def test_a_sampler_shows_a_row_of_each_class():
    from ppgan_zoo.models.latent import Latent

    def generate(code):
        return np.full((len(code), 1, 28, 28), 1.0, np.float32) * (
            code.labels[:, None, None, None] / 3.0
        )

    origin = {"model": "<i>net", "iteration": 1200, "weights": "ema"}
    sampler = Sampler(Latent(2), (0.0, 1.0), generate, (1, 28, 28), origin, 3)
    html = sampler._repr_html_()
    assert "&lt;i&gt;net, iteration 1,200 (moving average)" in html and "<i>" not in html
    picture = picture_in(html)
    assert picture.shape == (3 * 58 + 2, 12 * 58 + 2)
    assert picture[10, 10] == 0 and picture[10 + 58, 600] == 85 and picture[10 + 116, 10] == 170


def test_a_caption_is_text():
    html = grid_html(np.zeros((1, 3, 4, 4), np.uint8), 1, '"><script>')
    assert "<script>" not in html and html.count("<") == 5
