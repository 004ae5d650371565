"""Directions: against numpy's own factorisations of the nets' weights and activations."""

import numpy as np
import paddle
import pytest

from ppgan_zoo.errors import ConfigError
from ppgan_zoo.evaluation.subject import CLASSES, Subject
from ppgan_zoo.latents.directions import METHODS, pca, principal_axes, sefa
from ppgan_zoo.latents.readers import find_readers
from ppgan_zoo.latents.space import LatentSpace
from ppgan_zoo.models.weights import layer_arrays
from ppgan_zoo.registry import MODELS


def space_of(name, num_classes=0, **shared):
    spec = MODELS.get(name)
    shared = {"latent_dim": 12, **shared}
    if num_classes:
        shared["num_classes"] = num_classes
    paddle.seed(3)
    subject = Subject(spec, shared)
    gan = subject.build(3)
    facts = subject.facts
    gan.generator.eval()
    return LatentSpace(
        gan.generator, facts.latent, facts.image_range, facts.num_classes, (), name
    )  # fmt: skip


EVERY = [
    (name, classes)
    for name in MODELS.built_in
    for classes in (0, CLASSES)
    if not classes or MODELS.get(name).labels == "takes"
]


@pytest.mark.parametrize(("name", "classes"), EVERY)
def test_sefa_of_every_model_is_orthonormal_and_whole(name, classes):
    shape = {"latent_dim": 80} if name == "infogan" else {}
    space = space_of(name, classes, **shape)
    found = sefa(space, space.free_dim)
    assert found.space == space.name == ("w" if name == "stylegan2" else "z")
    gram = found.vectors.astype(float) @ found.vectors.astype(float).T
    np.testing.assert_allclose(gram, np.eye(space.free_dim), atol=1e-5)
    assert found.shares.sum() == pytest.approx(1.0)  # eigenvalues add up to the trace
    assert (np.diff(found.shares) <= 1e-12).all()
    assert (found.vectors[np.arange(len(gram)), np.abs(found.vectors).argmax(1)] > 0).all()


@pytest.mark.parametrize("name", ["gan_mlp", "dcgan", "r3gan", "stylegan2", "biggan", "fastgan"])
def test_pca_of_models_of_each_kind(name):
    space = space_of(name)
    found = pca(space, 4, samples=300)
    assert found.vectors.shape == (4, space.dim) and np.isfinite(found.vectors).all()
    assert 0 < found.shares.sum() <= 1 + 1e-6 and (np.diff(found.shares) <= 1e-9).all()
    again = pca(space, 4, samples=300)
    assert found.vectors.tobytes() == again.vectors.tobytes()


def test_sefa_is_the_svd_of_the_first_weight_and_knows_no_label():
    for classes in (0, CLASSES):
        space = space_of("gan_mlp", classes)
        first = next(a for n, a in layer_arrays(space.generator).items() if n.endswith("weight"))
        assert first.shape == (12 + classes, 8)
        _, values, right = np.linalg.svd(first[:12].T.astype(float))
        found = sefa(space, 3)
        cosines = np.abs((found.vectors * right[:3]).sum(axis=1))
        np.testing.assert_allclose(cosines, 1, atol=1e-5)
        np.testing.assert_allclose(found.shares, values[:3] ** 2 / (values**2).sum(), rtol=1e-4)


def test_sefa_of_styles_stacks_the_affine_maps_with_unit_rows():
    space = space_of("stylegan2")
    arrays = layer_arrays(space.generator)
    affine = [a.T for name, a in arrays.items() if name.endswith("affine.weight")]
    assert len(affine) == 2 + 3 * (len(space.generator.levels) - 1)
    stacked = np.concatenate(affine).astype(float)
    stacked /= np.linalg.norm(stacked, axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(stacked.T @ stacked)
    found = sefa(space, 3)
    cosines = np.abs((found.vectors * vectors.T[::-1][:3]).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-4)
    np.testing.assert_allclose(found.shares, values[::-1][:3] / len(stacked), rtol=1e-3)


def test_each_part_of_biggans_z_has_its_readers():
    space = space_of("biggan")
    read = np.zeros(space.dim, int)
    for reader in find_readers(space):
        read += np.abs(reader.matrix(space.dim)).max(axis=0) > 0
    assert (read > 0).all() and len(find_readers(space)) > 1


def test_codes_in_z_are_no_directions():
    space = space_of("infogan", latent_dim=80)
    noise = space.latent.noise_dim
    assert 0 < noise < 80
    for method in METHODS.values():
        vectors = method(space, 3).vectors
        assert (vectors[:, noise:] == 0).all() and np.abs(vectors[:, :noise]).max() > 0


def test_pca_of_w_is_its_covariance():
    space = space_of("stylegan2")
    w = space.points(500, 5).astype(float)
    values, vectors = np.linalg.eigh(np.cov(w.T))
    found = pca(space, 3, samples=500, seed=5)
    lengths = np.linalg.norm(found.vectors, axis=1)
    np.testing.assert_allclose(lengths**2, values[::-1][:3], rtol=1e-3)
    cosines = np.abs((found.vectors / lengths[:, None] * vectors.T[::-1][:3]).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-3)
    np.testing.assert_allclose(found.shares, values[::-1][:3] / values.sum(), rtol=1e-3)


def test_pca_of_z_is_mapped_back_by_least_squares():
    space = space_of("gan_mlp")
    z = space.points(400, 5)
    arrays = list(layer_arrays(space.generator).values())
    weight, bias = arrays[0], arrays[1]
    hidden = z @ weight + bias
    hidden = np.where(hidden > 0, hidden, 0.2 * hidden)  # LeakyReLU(0.2), as the model's page says
    centred = (hidden - hidden.mean(0)).astype(float)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    coordinates = centred @ axes[:2].T / (values[:2] / np.sqrt(399))
    wanted = np.linalg.pinv(coordinates) @ (z - z.mean(0))
    found = pca(space, 2, samples=400, seed=5)
    for own, other in zip(found.vectors, wanted, strict=True):
        sign = np.sign(other[np.abs(other).argmax()])
        np.testing.assert_allclose(own, sign * other, atol=2e-3)
    np.testing.assert_allclose(found.shares, values[:2] ** 2 / (values**2).sum(), rtol=1e-3)


def test_principal_axes_are_numpys():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200, 30)) * np.linspace(5, 0.1, 30) + 7
    axes, deviations, shares = principal_axes(rows.astype(np.float32), 5)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    np.testing.assert_allclose(deviations**2, values[::-1][:5], rtol=1e-3)
    np.testing.assert_allclose(np.abs((axes * vectors.T[::-1][:5]).sum(1)), 1, atol=1e-3)
    np.testing.assert_allclose(shares, values[::-1][:5] / values.sum(), rtol=1e-3)


def test_flat_rows_have_fewer_axes():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((50, 2)) @ rng.standard_normal((2, 9))
    axes, _, shares = principal_axes(rows.astype(np.float32), 5)
    assert len(axes) == 2 and shares.sum() == pytest.approx(1, abs=1e-4)


def test_a_step_is_taken_by_name():
    space = space_of("gan_mlp")
    found = sefa(space, 2)
    assert found.names == ("sefa1", "sefa2")
    points = space.points(3, 0)
    np.testing.assert_allclose(found.moved(points, "sefa2", -1.5), points - 1.5 * found.vectors[1])
    with pytest.raises(ConfigError, match=r"no such one .did you mean 'sefa\d'"):
        found["sefa"]


@pytest.mark.parametrize("method", METHODS.values())
def test_what_cannot_be_asked(method):
    space = space_of("gan_mlp")
    with pytest.raises(ConfigError, match="give 1 or more"):
        method(space, 0)
    assert len(method(space, 1000).vectors) <= space.dim
    with pytest.raises(ConfigError, match="give 20"):
        pca(space, 10, samples=9)


def test_a_net_that_bends_the_latent_before_any_layer_has_no_sefa():
    space = space_of("gan_mlp")

    class Bent(type(space.generator)):
        def forward(self, z, labels=None):
            return super().forward(z.tanh(), labels)

    space.generator.__class__ = Bent
    with pytest.raises(ConfigError, match="no dense or convolutional layer of gan_mlp reads z"):
        sefa(space)
