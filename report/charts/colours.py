"""The colours of methods: a variant has one hue on every page, in every figure and table."""

import zlib
from collections.abc import Iterable

from bench.report.data import Group

#: Ten hues that stay apart under the common colour-vision deficiencies, on a light and on a dark ground
#: (after Okabe & Ito 2008 and Tol's notes, darkened or lightened for contrast). The last is grey, for yardsticks.
LIGHT = (
    "#0072b2", "#d55e00", "#00865f", "#b8558f", "#a06e00", "#332288", "#3f8fc5", "#6f6f14", "#882255", "#666666",
)  # fmt: skip
DARK = (
    "#56b4e9", "#ff8c42", "#2fd3a0", "#f09ac8", "#f2b233", "#9a8cf0", "#a6d8ff", "#c9c94a", "#e0709c", "#aaaaaa",
)  # fmt: skip
#: Variant -> its hue; a variant that is not named here has a hue that its name decides
HUES = {
    "ae": 0, "vae": 2, "beta_vae": 1, "conditional_ae": 6, "conditional_vae": 3, "semi_supervised_vae": 8,
    "denoising_ae": 4, "sparse_ae": 7, "contractive_ae": 5, "linear_ae": 1, "completion_ae": 8,
    "pca": 9, "mean_image": 9,
}  # fmt: skip
#: Widths, in pixels, of the lines of labels that share a hue: the first, the second, all others
WEIGHTS = (2.0, 4.0, 1.0)


def hue(variant: str) -> int:
    """The hue of a variant: its place in `LIGHT` and `DARK`.

    >>> hue("vae"), hue("beta_vae"), hue("a_new_method") in range(9)
    (2, 1, True)
    """
    return HUES[variant] if variant in HUES else zlib.crc32(variant.encode()) % (len(LIGHT) - 1)


def colours(groups: Iterable[Group]) -> dict[str, int]:
    """Label -> colour number: the hue of its variant, plus ten times its place among the labels of that hue.

    Labels of one hue differ in the width of their lines (`WEIGHTS`).
    """
    found: dict[str, int] = {}
    shared = [0] * len(LIGHT)
    for group in groups:
        label, place = str(group.at["label"]), hue(str(group.at["variant"]))
        if label not in found:
            found[label] = place + len(LIGHT) * min(shared[place], len(WEIGHTS) - 1)
            shared[place] += 1
    return found


def palette() -> str:
    """The hues as custom properties of a stylesheet, and a class `.k<number>` for each colour number."""
    light = "".join(f"--k{i}:{c};" for i, c in enumerate(LIGHT))
    dark = "".join(f"--k{i}:{c};" for i, c in enumerate(DARK))
    classes = "".join(
        f".k{i + len(LIGHT) * place}{{--hue:var(--k{i});--weight:{weight}px}}\n"
        for place, weight in enumerate(WEIGHTS)
        for i in range(len(LIGHT))
    )
    night = f"@media (prefers-color-scheme: dark) {{:root{{{dark}}}}}"
    return f":root{{{light}}}\n{night}\n@media print {{:root{{{light}}}}}\n{classes}"
