"""Drawings as SVG, written by hand: text stays text, colours come from the page's stylesheet.

The same numbers give the same bytes, and a drawing takes about a millisecond, so that a thousand cells can
have theirs.
"""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup, escape

from bench import registry

from .model import Line, line_view, ticks

#: Ten hues that stay apart under the common colour-vision deficiencies, on a light and on a dark ground
#: (after Okabe & Ito 2008 and Tol's notes, darkened or lightened for contrast). The stylesheet has them too.
LIGHT = (
    "#0072b2",
    "#d55e00",
    "#00865f",
    "#b8558f",
    "#a06e00",
    "#332288",
    "#3f8fc5",
    "#6f6f14",
    "#882255",
    "#666666",
)
DARK = (
    "#56b4e9",
    "#ff8c42",
    "#2fd3a0",
    "#f09ac8",
    "#f2b233",
    "#9a8cf0",
    "#a6d8ff",
    "#c9c94a",
    "#e0709c",
    "#aaaaaa",
)

#: Widths, in pixels, of lines that share a hue: the first, the second, all others.
WEIGHTS = (2.0, 4.0, 1.0)

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 36
MAP = 400  #: side of a map


def colours(labels: Iterable[str]) -> dict[str, int]:
    """A colour number for each label: its hue, plus ten times its place among the labels of that hue.

    The label alone decides its hue, so that it keeps its colour when others come and go: a variant's own name has
    the hue of its place in the registry, any other label one that it hashes to among those left. Two labels may
    so share a hue; their lines then differ in width (`WEIGHTS`), as which place they have says.

    >>> colours(["vae", "ae"])["vae"] == colours(["vae"])["vae"]
    True
    """
    found: dict[str, int] = {}
    shared = [0] * len(LIGHT)
    for label in sorted(set(labels)):
        hue = _hue(label)
        found[label] = hue + len(LIGHT) * min(shared[hue], len(WEIGHTS) - 1)
        shared[hue] += 1
    return found


def _hue(label: str) -> int:
    known, hues = registry.names("variants"), len(LIGHT)
    if label in known:
        return known.index(label) % hues
    left = range(len(known), hues) if len(known) <= hues // 2 else range(hues)
    return left[zlib.crc32(label.encode()) % len(left)]


def line_chart(lines: Sequence[Line], x_label: str, y_label: str, alt: str) -> Markup:
    """Curves over a common axis; the view leaves out first epochs that would flatten all the rest."""
    lines = [line for line in lines if len(line.x)]
    if not lines:
        return Markup("")
    (x_low, x_high), (y_low, y_high) = line_view(lines)
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def place(xs: Sequence[float], ys: Sequence[float]) -> str:
        points = ((width * (x - x_low) / (x_high - x_low), height * (y_high - y) / (y_high - y_low))
                  for x, y in zip(xs, ys, strict=True))  # fmt: skip
        return " ".join(f"{px:.1f},{max(-9999.0, min(9999.0, py)):.1f}" for px, py in points)

    parts = [_axes(x_low, x_high, y_low, y_high, x_label, y_label)]
    parts.append(f'<svg x="{LEFT}" y="{TOP}" width="{width}" height="{height}">')
    for line in lines:
        if line.low and line.high:
            shape = place([*line.x, *reversed(line.x)], [*line.high, *reversed(line.low)])
            parts.append(f'<polygon class="band k{line.colour}" points="{shape}"/>')
    for line in lines:
        title = f"<title>{escape(line.name)}</title>"
        dot = " dot" if len(line.x) == 1 else ""
        kind = f"line k{line.colour} {line.style}{dot}".strip()
        shape = place(line.x, line.y) if not dot else f"{place(line.x, line.y)} {place(line.x, line.y)}"
        parts.append(f'<polyline class="{kind}" points="{shape}">{title}</polyline>')
    parts.append("</svg>")
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(alt)}">'
    return Markup(head + "".join(parts) + "</svg>")  # noqa: S704  (numbers, and words escaped above)


def _axes(x_low: float, x_high: float, y_low: float, y_high: float, x_label: str, y_label: str) -> str:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for value in ticks(y_low, y_high, 5):
        y = TOP + (bottom - TOP) * (y_high - value) / (y_high - y_low)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{_tick(value)}</text>')
    for value in ticks(x_low, x_high, 6, whole=True):
        x = LEFT + (right - LEFT) * (value - x_low) / (x_high - x_low)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{_tick(value)}</text>')
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    middle = (LEFT + right) / 2
    parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    turn = f"rotate(-90 10 {(TOP + bottom) / 2})"
    text = f'x="10" y="{(TOP + bottom) / 2}" text-anchor="middle" transform="{turn}"'
    parts.append(f'<text class="label" {text}>{escape(y_label)}</text>')
    return "".join(parts)


def _tick(value: float) -> str:
    return f"{value:.6g}".replace("-", "−")


def strip(values: Iterable[float], low: float, high: float) -> Markup:
    """Every seed as a dot, on the scale of the whole column."""
    span = high - low
    places = [4 + (92 * (value - low) / span if span else 46) for value in values]
    path = "".join(f"M{x:.0f} 4h0" for x in places)
    drawing = f'<svg class="strip" viewBox="0 0 100 8" aria-hidden="true"><path d="{path}"/></svg>'
    return Markup(drawing)  # noqa: S704  (numbers only)


def scatter(points: np.ndarray, labels: np.ndarray, names: Sequence[str], title: str, axes: bool = False) -> str:
    """A map (P, 2) of points coloured by label, as a whole SVG file: a path a class, a dot a point.

    The class names stand at the median of their points, so that colour is not the only key. `axes` draws the
    lines through zero with the range: for codes, whose scale means something.
    """
    keep = np.isfinite(points).all(1)
    points, labels = points[keep], labels[keep]
    low, high = (points.min(0), points.max(0)) if len(points) else (np.zeros(2), np.ones(2))
    centre, span = (low + high) / 2, float(max((high - low).max(), 1e-9)) * 1.04
    placed = np.rint(((points - centre) / span * [1, -1] + 0.5) * MAP).astype(int)
    classes = sorted(int(k) for k in np.unique(labels))
    dots = "".join(_dots(placed[labels == k], k) for k in classes)
    texts = "".join(_class_name(placed[labels == k], k, names) for k in classes if k >= 0)
    cross = _cross(low, high, centre, span) if axes else ""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {MAP} {MAP}" role="img">'
    body = f'<g class="{"few" if len(points) < 1000 else "many"}">{dots}</g>'
    return f"{head}<title>{escape(title)}</title><style>{MAP_STYLE}</style>{cross}{body}{texts}</svg>\n"


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
    x, y = (((-centre) / span * [1, -1] + 0.5) * MAP).tolist()
    lines = [f"M0 {y:.1f}H{MAP}"] * (0 <= y <= MAP) + [f"M{x:.1f} 0V{MAP}"] * (0 <= x <= MAP)
    ends = f"{low[0]:.3g} to {high[0]:.3g} across, {low[1]:.3g} to {high[1]:.3g} up".replace("-", "−")
    return f'<path class="axis" d="{"".join(lines)}"/><text class="range" x="4" y="{MAP - 5}">{ends}</text>'


def _map_style() -> str:
    base = "path{fill:none;stroke-width:4.5;stroke-linecap:round;opacity:.65}.axis{stroke:#999;stroke-width:1}"
    text = (
        "text{font:600 15px system-ui,sans-serif;text-anchor:middle;fill:#111;stroke:#fff;stroke-width:3.5px;"
        "paint-order:stroke}.range{font-size:10px;font-weight:400;text-anchor:start;fill:#555}"
        ".kn{stroke:#999}.few path{stroke-width:6}"
    )
    light = "".join(f".k{i}{{stroke:{c}}}" for i, c in enumerate(LIGHT))
    dark = "".join(f".k{i}{{stroke:{c}}}" for i, c in enumerate(DARK))
    night = f"@media(prefers-color-scheme:dark){{text{{fill:#fff;stroke:#111}}.range{{fill:#bbb}}{dark}}}"
    return base + text + light + night


MAP_STYLE = _map_style()
