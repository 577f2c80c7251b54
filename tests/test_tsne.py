"""t-SNE and UMAP: the paper's definition, the libraries' own results, and nothing left to chance."""

import warnings

import numpy as np
import pytest
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE, trustworthiness
from sklearn.metrics import silhouette_score

from bench import tsne
from bench.embeddings import embed, neighbours
from bench.suite import Embed


@pytest.fixture(scope="module")
def digits():
    images, labels = load_digits(return_X_y=True)
    return images[:400].astype(np.float32), labels[:400]


def divergence(p: np.ndarray, y: np.ndarray) -> float:
    """KL(p ‖ q) of a map (P, 2), by its formula."""
    w = 1 / (1 + cdist(y, y, "sqeuclidean"))
    np.fill_diagonal(w, 0)
    q, present = w / w.sum(), p > 0
    return float((p[present] * np.log(p[present] / q[present])).sum())


def test_probabilities_have_the_perplexity_asked_for_and_are_those_of_a_gaussian(digits):
    x = digits[0]
    squares = np.sort(cdist(x, x, "sqeuclidean"), axis=1)[:, 1:92]
    found = tsne._conditional(squares, np.log(30))
    entropy = -(found * np.log(found, where=found > 0, out=np.zeros_like(found))).sum(1)
    assert np.allclose(np.exp(entropy), 30, rtol=1e-4)
    apart = slice(None, None, 30)
    slope = np.diff(np.log(found[:, apart]), axis=1) / np.diff(squares[:, apart], axis=1)
    assert np.allclose(slope, slope[:, :1], rtol=1e-6)  # one width a point
    joint = tsne.joint_probabilities(x, 30).toarray()
    assert joint.sum() == pytest.approx(1, abs=1e-5)
    assert np.array_equal(joint, joint.T)
    assert (np.diag(joint) == 0).all()


@pytest.mark.parametrize(("d", "perplexity"), [(16, 5), (64, 5), (64, 30), (784, 30)])
def test_the_perplexity_holds_however_far_apart_codes_are(d, perplexity):
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((600, d))
    codes[:20] *= 30  # and for outliers
    squares = np.sort(cdist(codes, codes, "sqeuclidean"), axis=1)[:, 1 : 3 * perplexity + 2]
    found = tsne._conditional(squares, np.log(perplexity))
    entropy = -(found * np.log(found, where=found > 0, out=np.zeros_like(found))).sum(1)
    assert np.allclose(np.exp(entropy), perplexity, rtol=1e-3)


def test_the_gradient_is_that_of_the_divergence():
    rng = np.random.default_rng(0)
    p = np.triu(rng.random((40, 40)) * (rng.random((40, 40)) < 0.3), 1)
    p = (p + p.T) / (p + p.T).sum()
    y, rows = rng.standard_normal((40, 2)), csr_array(p.astype(np.float32))
    across = np.ascontiguousarray(y.T, dtype=np.float32)
    gradient, z = tsne._gradient(rows.data, rows.indices, rows.indptr, across)
    found = tsne._divergence(rows.data, rows.indices, rows.indptr, across, z)
    assert found == pytest.approx(divergence(p, y), rel=1e-5)
    for i, axis in ((0, 0), (7, 1), (39, 0)):
        step = np.zeros_like(y)
        step[i, axis] = 1e-5
        slope = (divergence(p, y + step) - divergence(p, y - step)) / 2e-5
        assert gradient[axis, i] == pytest.approx(slope, rel=1e-4, abs=1e-7)


def test_a_map_is_as_good_as_scikit_learns(digits):
    x, labels = digits
    ours, theirs = tsne.tsne(x, 30, 0), TSNE(perplexity=30, random_state=0).fit_transform(x)
    p = tsne.joint_probabilities(x, 30).toarray()
    assert divergence(p, ours) < 1.02 * divergence(p, theirs)
    assert trustworthiness(x, ours) == pytest.approx(trustworthiness(x, theirs), abs=0.01)
    assert silhouette_score(ours, labels) == pytest.approx(silhouette_score(theirs, labels), abs=0.05)


def test_codes_of_one_dimension_are_mapped(digits):
    x = digits[0][:60, 20:21] + np.linspace(0, 1, 60, dtype=np.float32)[:, None]
    found = tsne.tsne(x, 10, 0)
    assert found.shape == (60, 2)
    assert np.isfinite(found).all()
    assert np.array_equal(found, tsne.tsne(x, 10, 0))


def test_umap_over_given_neighbours_is_umap_learns_own_to_the_bit(digits):
    x = (digits[0] @ np.random.default_rng(0).standard_normal((64, 16))).astype(np.float32)  # as codes: no two alike
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no Tensorflow; one thread where there is a seed
        from umap import UMAP

        own = UMAP(n_neighbors=15, min_dist=0.1, random_state=0).fit_transform(x)
    assert np.array_equal(embed("umap", x, Embed()), own)


def test_the_neighbours_of_a_point_begin_with_itself_also_among_copies(digits):
    x = np.concatenate([digits[0][:50], digits[0][:1], digits[0][:1]])
    index, distances = neighbours(x, 6)
    assert (index[:, 0] == np.arange(52)).all()
    assert (distances[:, 0] == 0).all()
    assert set(index[0, :3]) == {0, 50, 51}
    assert np.allclose(distances, np.sort(cdist(x, x), axis=1)[:, :6], rtol=1e-5)
