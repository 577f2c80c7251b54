// Who is best of a column, as bench/stats.py and report/tables.py say it: paired t where three seeds are shared, Welch
// elsewhere, Holm against the best. A test holds both against each other.
"use strict";

const FEWEST_SEEDS = 3, ALPHA = 0.05;

/** Two-sided p of |t| with so many degrees of freedom: the incomplete beta function I_x(freedom / 2, 1 / 2). */
function twoSided(t, freedom) {
  return incompleteBeta(freedom / (freedom + t * t), freedom / 2, 0.5);
}

/** I_x(a, b) by its continued fraction (Abramowitz & Stegun 26.5.8), evaluated from the front (Lentz). */
function incompleteBeta(x, a, b) {
  if (x <= 0 || x >= 1) return x <= 0 ? 0 : 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  let c = 1, d = 1 / (1 - (a + b) * x / (a + 1)), sum = d;
  for (let m = 1; m < 500; m++) {
    const even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    const odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + even * d); c = 1 + even / c; sum *= c * d;
    d = 1 / (1 + odd * d); c = 1 + odd / c; sum *= c * d;
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return Math.exp(a * Math.log(x) + b * Math.log1p(-x) + logGamma(a + b) - logGamma(a) - logGamma(b)) * sum / a;
}

/** log Γ(x) for x > 0: Stirling's series, after raising x above 10 by Γ(x + 1) = x Γ(x). */
function logGamma(x) {
  let shift = 0;
  for (; x < 10; x++) shift += Math.log(x);
  const y = 1 / (x * x);
  const series = (1 / 12 - y * (1 / 360 - y * (1 / 1260 - y * (1 / 1680 - y / 1188)))) / x;
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series - shift;
}

function moments(values) {
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
  return { n: values.length, mean, variance: values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1) };
}

/** p of the difference of two configurations; 1 where there are too few seeds to say. */
function pOfDifference(a, b) {
  const other = new Map(b.seeds.map((seed, index) => [seed, b.numbers[index]]));
  const pairs = a.seeds.flatMap((seed, index) => (other.has(seed) ? [a.numbers[index] - other.get(seed)] : []));
  if (pairs.length >= FEWEST_SEEDS) {
    const { n, mean, variance } = moments(pairs);
    return pOf(mean, Math.sqrt(variance / n), n - 1);
  }
  if (Math.min(a.seeds.length, b.seeds.length) < FEWEST_SEEDS) return 1;
  const [one, two] = [moments(a.numbers), moments(b.numbers)];
  const [u, v] = [one.variance / one.n, two.variance / two.n];
  const freedom = u + v > 0 ? (u + v) ** 2 / (u * u / (one.n - 1) + v * v / (two.n - 1)) : one.n + two.n - 2;
  return pOf(one.mean - two.mean, Math.sqrt(u + v), freedom);
}

function pOf(mean, error, freedom) {
  if (error === 0) return mean === 0 ? 1 : 0;
  return twoSided(mean / error, freedom);
}

/** Holm's adjusted p-values, in the order given. */
function holm(ps) {
  const adjusted = [];
  let running = 0;
  ps.map((p, index) => [p, index]).sort((x, y) => x[0] - y[0] || x[1] - y[1]).forEach(([p, index], rank) => {
    running = Math.max(running, Math.min(1, (ps.length - rank) * p));
    adjusted[index] = running;
  });
  return adjusted;
}

/** The best of some values and all that cannot be told from it; none where one that takes no part has a better mean. */
function winners(values, better) {
  const able = values.filter((v) => v.seeds.length === v.planned && v.seeds.length >= FEWEST_SEEDS);
  if (able.length < 2 || !["lower", "higher"].includes(better)) return [];
  const sign = better === "higher" ? -1 : 1;
  const least = (some) => some.reduce((best, v) => (sign * v.mean < sign * best.mean ? v : best));
  const first = least(able), others = able.filter((v) => v !== first);
  const corrected = holm(others.map((v) => pOfDifference(v, first)));
  const found = [first, ...others.filter((_, index) => corrected[index] > ALPHA)];
  return found.includes(least(values)) ? found : [];
}
