"""Sample grids, pixel by pixel."""

import numpy as np
from PIL import Image

from ppgan_zoo.storage.pictures import image_grid, save_png


def test_cells_stand_row_by_row_enlarged_by_whole_factors():
    images = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1).repeat(28, 2).repeat(28, 3) * 50
    grid = image_grid(images, columns=2)
    assert grid.shape == (2 * 58 + 2, 2 * 58 + 2)
    assert (grid[2:58, 2:58] == 0).all()
    assert (grid[2:58, 60:116] == 50).all()
    assert (grid[60:116, 2:58] == 100).all()
    assert (grid[60:116, 60:116] == 96).all()  # an empty place shows the background


def test_large_rgb_images_keep_their_size_and_colours():
    image = np.random.default_rng(0).integers(0, 256, (1, 3, 64, 64), dtype=np.uint8)
    grid = image_grid(image, columns=1)
    assert grid.shape == (68, 68, 3)
    assert np.array_equal(grid[2:66, 2:66], image[0].transpose(1, 2, 0))


def test_real_images_stand_above_under_a_caption():
    white = np.full((2, 1, 28, 28), 255, np.uint8)
    grid = image_grid(white * 0, columns=2, above=white, caption="iteration 7")
    assert grid.shape == (16 + 60 + 8 + 60, 118)
    assert grid[:16].max() > 128  # the caption's letters
    assert (grid[18:74, 2:58] == 255).all()
    assert (grid[86:142, 2:58] == 0).all()


def test_png_is_read_back_as_it_was(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
    save_png(tmp_path / "a.png", pixels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
