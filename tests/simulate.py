"""The simulations whose numbers stand in docs/decisions.md, with more tables than the tests take.

python tests/simulate.py           # all of them, some minutes
python tests/simulate.py marks     # percent of tables whose bold marks err
python tests/simulate.py iqm       # percent of bootstrap intervals of an IQM that cover it
"""

import math
import sys

import numpy as np
import scipy.stats
from test_stats import SPREADS, left_out

TABLES = 10_000


def marks():
    """A row a number of seeds, a column a number of rows; in each place three percentages, see `marks_of`."""
    print("| seeds | 2 rows | 3 rows | 5 rows | 10 rows |\n|---|---|---|---|---|")
    for n in (3, 5, 6, 10):
        shares = [[100 * share for share in marks_of(n, k)] for k in (2, 3, 5, 10)]
        print(f"| {n} | {' | '.join(f'{equal:.1f} / {worst:.1f} / {alone:.0f}' for equal, worst, alone in shares)} |")


def marks_of(n, k):
    """Shares of tables of n seeds and k rows.

    Of equal means a row is left out; the same at the worst of the patterns of unequal spread; of tables whose first row
    leads by ten standard deviations, it alone is bold.
    """
    normal = np.random.default_rng(100 * n + k).normal(size=(TABLES, k, n))
    wrong = {name: left_out(normal * spread(k)[:, None]).any(1).mean() for name, spread in SPREADS.items()}
    ahead = normal.copy()
    ahead[:, 0] += 10
    out = left_out(ahead)
    alone = (~out[:, 0] & out[:, 1:].all(1)).mean()
    return wrong.pop("equal"), max(wrong.values()), alone


def iqm(tables=1_000, draws=1_000):
    """Percent of nominal 95 % intervals that cover the IQM: of plain and of expanded percentiles."""
    designs = {
        "2, of like spread": (1.0, 1.0),
        "8, of like spread": (1.0,) * 8,
        "2, spread fivefold": (0.2, 1.0),
        "4, spread 25-fold": tuple(np.geomspace(1, 25, 4)),
    }
    print("| columns | seeds | plain | expanded |\n|---|---|---|---|")
    for name, spreads in designs.items():
        for n in (3, 6, 10, 20):
            plain, expanded = iqm_of(n, np.array(spreads), tables, draws)
            print(f"| {name} | {n} | {100 * plain:.0f} | {100 * expanded:.0f} |")


def iqm_of(n, spreads, tables, draws):
    """Shares of intervals that cover, of tables with n seeds in each of the columns of these spreads.

    The columns' means lie far apart, as those of scaled scores of several datasets do.
    """
    rng, d = np.random.default_rng(n), len(spreads)
    centres = 3 * spreads.max() * np.arange(d)
    cut = n * d // 4

    def middle(values):  # (..., d, n)
        pooled = np.sort(values.reshape(*values.shape[:-2], -1), axis=-1)
        return pooled[..., cut : n * d - cut].mean(-1)

    truth = middle(centres[:, None] + spreads[:, None] * rng.normal(size=(100_000, d, n))).mean()
    wide = scipy.stats.norm.cdf(math.sqrt(n / (n - 1)) * scipy.stats.t.ppf(0.025, d * (n - 1)))
    covered = np.zeros(2)
    for values in centres[:, None] + spreads[:, None] * rng.normal(size=(tables, d, n)):
        chosen = rng.integers(n, size=(draws, d, n))
        found = middle(np.take_along_axis(np.broadcast_to(values, chosen.shape), chosen, axis=2))
        for i, tail in enumerate((0.025, wide)):
            low, high = np.quantile(found, [tail, 1 - tail])
            covered[i] += low <= truth <= high
    return covered / tables


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["marks", "iqm"]
    for name in wanted:
        {"marks": marks, "iqm": iqm}[name]()
