"""Maps of codes as SVG files: a dot a point, coloured by class, a class's name at the median of its points."""

from collections.abc import Sequence

import numpy as np
from markupsafe import escape

from .colours import DARK, LIGHT

SIZE = 400  #: side of a map
ROOM = 1.04  #: side of the view over the larger range of the points


def code_map(points: np.ndarray, labels: np.ndarray, names: Sequence[str], title: str, axes: bool = False) -> str:
    """Points (P, 2) with labels (P,) as an SVG file.

    axes: draws the lines through zero and prints the ranges, for codes, whose scale has a meaning.
    """
    keep = np.isfinite(points).all(1)
    points, labels = points[keep], labels[keep]
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.ones(2))
    centre, span = (low + high) / 2, float(max((high - low).max(), 1e-9)) * ROOM
    placed = np.rint(((points - centre) / span * [1, -1] + 0.5) * SIZE).astype(int)
    classes = sorted(int(k) for k in np.unique(labels))
    dots = "".join(_dots(placed[labels == k], k) for k in classes)
    texts = "".join(_class_name(placed[labels == k], k, names) for k in classes if k >= 0)
    cross = _cross(low, high, centre, span) if axes else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" role="img">'
    body = f'<g class="{"few" if len(points) < 1000 else "many"}">{dots}</g>'
    return f"{head}<title>{escape(title)}</title><style>{STYLE}</style>{cross}{body}{texts}</svg>\n"


def _dots(placed: np.ndarray, label: int) -> str:
    """Relative moves with round caps: about seven bytes a point."""
    steps = np.diff(placed, axis=0, prepend=np.zeros((1, 2), int)).tolist()
    path = "".join(f"m{x}{y:+d}h0" if y < 0 else f"m{x} {y}h0" for x, y in steps)
    return f'<path class="k{label % len(LIGHT) if label >= 0 else "n"}" d="{path}"/>'


def _class_name(placed: np.ndarray, label: int, names: Sequence[str]) -> str:
    x, y = np.median(placed, axis=0).round().astype(int).tolist()
    name = names[label] if label < len(names) else str(label)
    return f'<text x="{x}" y="{y + 5}">{escape(name[:24])}</text>'


def _cross(low: np.ndarray, high: np.ndarray, centre: np.ndarray, span: float) -> str:
    x, y = (((-centre) / span * [1, -1] + 0.5) * SIZE).tolist()
    lines = [f"M0 {y:.1f}H{SIZE}"] * (0 <= y <= SIZE) + [f"M{x:.1f} 0V{SIZE}"] * (0 <= x <= SIZE)
    ends = f"x {low[0]:.3g} to {high[0]:.3g}, y {low[1]:.3g} to {high[1]:.3g}".replace("-", "−")
    return f'<path class="axis" d="{"".join(lines)}"/><text class="range" x="4" y="{SIZE - 5}">{ends}</text>'


def _style() -> str:
    base = (
        "path{fill:none;stroke-width:4.5;stroke-linecap:round;opacity:.65}.axis{stroke:#999;stroke-width:1}"
        "text{font:600 15px system-ui,sans-serif;text-anchor:middle;fill:#111;stroke:#fff;stroke-width:3.5px;"
        "paint-order:stroke}.range{font-size:10px;font-weight:400;text-anchor:start;fill:#555}"
        ".kn{stroke:#999}.few path{stroke-width:6}"
    )
    light = "".join(f".k{i}{{stroke:{c}}}" for i, c in enumerate(LIGHT))
    dark = "".join(f".k{i}{{stroke:{c}}}" for i, c in enumerate(DARK))
    return f"{base}{light}@media(prefers-color-scheme:dark){{text{{fill:#fff;stroke:#111}}.range{{fill:#bbb}}{dark}}}"


STYLE = _style()
