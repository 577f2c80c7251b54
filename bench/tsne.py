"""t-SNE with the gradient summed over all pairs: scikit-learn's protocol without the Barnes–Hut approximation.

    minimise Σ_ij p_ij log(p_ij / q_ij),   q_ij = w_ij / Σ_kl w_kl,   w_ij = 1 / (1 + ‖y_i − y_j‖²)

p_ij as in the paper, over the 3·perplexity + 1 nearest neighbours (Euclidean, float64). Initial points, learning
rate max(N/48, 50), exaggeration by 12 for 250 of 1000 steps, momentum 0.5 then 0.8, gains and stopping rules are those
of scikit-learn 1.9. A quadtree saves arithmetic but not time at the sizes of a map here: the plain double loop runs in
vector registers (10,000 points: 12 ms a gradient on one core). It is also one thread's work whatever the number of
threads, so the map does not depend on that.

Reference: van der Maaten & Hinton, Visualizing Data using t-SNE, JMLR 9, 2008; van der Maaten, Accelerating t-SNE
using Tree-Based Algorithms, JMLR 15, 2014 (neighbours only in p).

Letters:  P points · D code dimensions · K neighbours
"""

import numpy as np
import torch
from numba import njit
from scipy.sparse import csr_array
from sklearn.decomposition import PCA

from .distances import nearest

STEPS, EXPLORING = 1000, 250  #: in all; exaggerated
EXAGGERATION = 12.0
CHECKED = 50  #: steps between two looks at the progress
PATIENCE = 300  #: steps without progress after which it ends
SMALLEST_GRADIENT = 1e-7
ENTROPY_TOLERANCE, BISECTIONS = 1e-5, 100


def tsne(codes: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """Codes (P, D) → their map (P, 2), float32. perplexity: at most (P − 1) / 3. seed: of the initial points."""
    p = joint_probabilities(codes, perplexity)
    rate = max(len(codes) / EXAGGERATION / 4, 50.0)
    start = _initial(codes, seed)
    exaggerated = csr_array((p.data * np.float32(EXAGGERATION), p.indices, p.indptr), shape=p.shape)
    middle, done = _descend(exaggerated, start, 0, EXPLORING, 0.5, rate, EXPLORING)
    return _descend(p, middle, done + 1, STEPS, 0.8, rate, PATIENCE)[0].T.copy()


def joint_probabilities(codes: np.ndarray, perplexity: float) -> csr_array:
    """p_ij (P, P), sparse, float32, indices int32: symmetric, summing to 1."""
    n = len(codes)
    k = min(n - 1, int(3 * perplexity + 1))
    points = torch.from_numpy(np.ascontiguousarray(codes))
    distances, index = (a.numpy() for a in nearest(points, points, k, itself=False))
    conditional = _conditional(distances**2, np.log(perplexity)).astype(np.float32)
    starts = np.arange(0, n * k + 1, k, dtype=np.int32)
    rows = csr_array((conditional.ravel(), index.ravel().astype(np.int32), starts), shape=(n, n))
    both = (rows + rows.T).tocsr()
    both.data /= both.data.sum(dtype=np.float64).astype(np.float32)
    return both


def _initial(codes: np.ndarray, seed: int) -> np.ndarray:
    """(2, P): principal components at a deviation of 1e-4; noise where codes have one dimension."""
    if codes.shape[1] < 2:
        noise = np.random.RandomState(seed).standard_normal((len(codes), 2))
        return np.ascontiguousarray(1e-4 * noise.T, dtype=np.float32)
    plane = PCA(2, svd_solver="randomized", random_state=seed).fit_transform(codes).astype(np.float32)
    return np.ascontiguousarray((plane / np.std(plane[:, 0]) * 1e-4).T, dtype=np.float32)


def _descend(
    p: csr_array, start: np.ndarray, first: int, end: int, momentum: float, rate: float, patience: int
) -> tuple[np.ndarray, int]:
    """Gradient descent with momentum and a gain for each number; the points (2, P) and the number of the last step."""
    y, update, gains = start.copy(), np.zeros_like(start), np.ones_like(start)
    best, best_step, step = np.inf, first, first
    for step in range(first, end):
        gradient, z = _gradient(p.data, p.indices, p.indptr, y)
        gains = np.maximum(np.where(update * gradient < 0, gains + 0.2, gains * 0.8), 0.01).astype(np.float32)
        gradient *= gains
        moved = y + (update := (momentum * update - rate * gradient).astype(np.float32))
        if (step + 1) % CHECKED == 0:
            error = _divergence(p.data, p.indices, p.indptr, y, z)
            if error < best:
                best, best_step = error, step
            elif step - best_step > patience:
                return moved, step
            if np.linalg.norm(gradient) <= SMALLEST_GRADIENT:
                return moved, step
        y = moved
    return y, step


@njit(cache=True)
def _conditional(squared: np.ndarray, entropy: float) -> np.ndarray:
    """p_j|i over the neighbours of each point, (P, K) → (P, K): the width of each Gaussian found by bisection.

    Distances are counted from the nearest neighbour's, which changes neither p nor its entropy: its weight is 1, so
    that the sum never vanishes, however far all of them are.
    """
    found = np.empty_like(squared)
    for i in range(len(squared)):
        low, high, beta, beyond = -np.inf, np.inf, 1.0, squared[i] - squared[i].min()
        for _ in range(BISECTIONS):
            weights = np.exp(-beta * beyond)
            total = weights.sum()
            weights /= total
            excess = np.log(total) + beta * (beyond * weights).sum() - entropy
            found[i] = weights
            if abs(excess) <= ENTROPY_TOLERANCE:
                break
            if excess > 0:
                low, beta = beta, (beta * 2 if high == np.inf else (beta + high) / 2)
            else:
                high, beta = beta, (beta / 2 if low == -np.inf else (beta + low) / 2)
    return found


@njit(cache=True, fastmath=True, error_model="numpy")  # what lets the inner loops run in vector registers
def _gradient(p: np.ndarray, index: np.ndarray, start: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Gradient (2, P) of the divergence, and Σ_ij w_ij. p, index, start: the rows of a sparse matrix; y: (2, P)."""
    n, one, nil = y.shape[1], np.float32(1), np.float32(0)
    y0, y1, pull, push, z = y[0], y[1], np.empty_like(y), np.empty_like(y), np.float64(0)
    for i in range(n):
        a, b, total, f0, f1 = y0[i], y1[i], nil, nil, nil
        for j in range(n):
            d0, d1 = a - y0[j], b - y1[j]
            w = one / (one + d0 * d0 + d1 * d1)
            total += w
            f0 += w * w * d0
            f1 += w * w * d1
        z += total
        push[0, i], push[1, i] = f0, f1
        f0, f1 = nil, nil
        for e in range(start[i], start[i + 1]):
            d0, d1 = a - y0[index[e]], b - y1[index[e]]
            w = p[e] / (one + d0 * d0 + d1 * d1)
            f0 += w * d0
            f1 += w * d1
        pull[0, i], pull[1, i] = f0, f1
    z -= n  # each point's weight with itself
    return np.float32(4) * (pull - push / np.float32(z)), float(z)


@njit(cache=True)
def _divergence(p: np.ndarray, index: np.ndarray, start: np.ndarray, y: np.ndarray, z: float) -> float:
    """Σ p log(p / q), over the pairs with p > 0."""
    found = 0.0
    for i in range(y.shape[1]):
        for e in range(start[i], start[i + 1]):
            d0, d1 = y[0, i] - y[0, index[e]], y[1, i] - y[1, index[e]]
            q = 1 / (1 + d0 * d0 + d1 * d1) / z
            if p[e] > 0:
                found += p[e] * np.log(p[e] / q)
    return found
