"""How axes, coordinates, directions and numbers are written: the same words in tables, figures and pages."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from bench import registry

CellKey = tuple[tuple[str, "str | int | None"], ...]  #: (axis, coordinate) pairs that identify a row or a column

EMPTY = "–"  #: a cell without a value, a coordinate that does not apply
#: The direction of a metric -> its arrow
ARROWS = {"lower": "↓", "higher": "↑"}
#: Axis -> its name; the "member" of a metric family has a name that depends on the family (`member_name`)
AXIS_NAMES = {
    "label": "method", "variant": "variant", "net": "net", "likelihood": "likelihood", "dataset": "data",
    "latent_size": "latent size", "setting": "setting", "key": "measured with", "metric": "metric",
}  # fmt: skip
#: Spaces in which codes are measured -> their names
SPACES = {"latent": "codes", "tsne": "t-SNE", "umap": "UMAP"}
#: Corruptions of test images -> their names
CORRUPTIONS = {
    "dropout_25": "25 % of the pixels removed", "dropout_50": "50 % of the pixels removed",
    "square_40": "a square removed", "training": "corrupted as in training",
}  # fmt: skip
#: State of a value without a number -> its name
GAPS = {state: state for state in ("n/a", "skipped", "failed", "diverged", "damaged")} | {"missing": "not run"}


#: Axis -> the kind of component that its coordinates name
COMPONENTS = {"label": "variants", "variant": "variants", "net": "nets", "dataset": "datasets",
              "likelihood": "likelihoods"}  # fmt: skip
PROPER = {"bernoulli": "Bernoulli", "gaussian": "Gaussian"}  #: words of likelihoods' names that are people's names


def reader_name(axis: str, coordinate: "str | int | None") -> "str | int | None":
    """The short title of the component that a coordinate names, with its options as in papers.

    A label that a suite's author wrote stays.

    >>> reader_name("label", "beta_vae (beta=4)"), reader_name("net", "conv"), reader_name("latent_size", 16)
    ('β-VAE (β = 4)', 'Conv', 16)
    """
    kind = COMPONENTS.get(axis, "")
    name, _, options = str(coordinate).partition(" (")
    if kind == "likelihoods" and coordinate is not None:
        return _likelihood_name(str(coordinate))
    component = registry.find(kind, name) if kind else None
    if component is None:
        return coordinate
    symbols = component.constants.get("option_symbols", {})
    pairs = [part.partition("=") for part in options.removesuffix(")").split(", ") if part]
    shown = ", ".join(f"{symbols.get(key, key)} = {value}" if value else key for key, _, value in pairs)
    return f"{component.short_title} ({shown})" if shown else component.short_title


def _likelihood_name(text: str) -> str:
    """A coordinate, "gaussian (sigma=0.5)", or a part of a bound's key, "gaussian sigma=0.5 given the label".

    >>> _likelihood_name("learned_gaussian link=identity given the label")
    'learned Gaussian given the label (link = identity)'
    """
    found = registry.readable_name(text).replace("(", "").replace(")", "").replace(",", "").split()
    name = " ".join(PROPER.get(word, word) for word in found if "=" not in word)
    options = ", ".join(word.replace("=", " = ") for word in found if "=" in word)
    return f"{name} ({options})" if options else name


def reader_text(axis: str, coordinate: "str | int | None") -> str:
    """`coordinate_text` of any axis; the latent size as in papers, "d = 16"."""
    return head_text(axis, coordinate) if coordinate not in (None, "") else EMPTY


def metric_name(family: str, member: str | None = None) -> str:
    """A metric for readers.

    >>> metric_name("fcd", "gmm"), metric_name("silhouette", "tsne"), metric_name("mse", None)
    ('FCD (GMM)', 'Silhouette (t-SNE)', 'MSE')
    """
    name = registry.short_title("metrics", family)
    return f"{name} ({member_text(member)})" if member else name


def member_text(member: str) -> str:
    """The name of a sampler, a space or a corruption.

    >>> member_text("gmm"), member_text("tsne"), member_text("dropout_25")
    ('GMM', 't-SNE', '25 % of the pixels removed')
    """
    if sampler := registry.find("samplers", member):
        return sampler.short_title
    return SPACES.get(member) or CORRUPTIONS.get(member) or member.replace("_", " ")


def metric_text(name: str) -> str:
    """The name for readers of a metric or of a member of a metric family.

    >>> metric_text("fcd_gmm"), metric_text("knn_accuracy"), metric_text("a_new_metric")
    ('FCD (GMM)', 'kNN accuracy', 'a new metric')
    """
    known = registry.names("metrics")
    families = [family for family in known if name.startswith(f"{family}_")]
    if name in known or not families:
        return metric_name(name)
    family = max(families, key=len)
    return metric_name(family, name.removeprefix(f"{family}_"))


def metric_heading(metric: str, better: str, unit: str) -> str:
    """A metric with its direction and unit.

    >>> metric_heading("MSE", "lower", "squared error per pixel")
    'MSE ↓ (squared error per pixel)'
    """
    return f"{metric} {ARROWS.get(better, '')}".strip() + (f" ({unit})" if unit else "")


def member_name(members: Iterable[str]) -> str:
    """The name of the axis of a metric family's members: space, corruption or sampler."""
    found = set(members)
    if found and found <= SPACES.keys():
        return "space"
    return "corruption" if found and all(re.fullmatch(r"[a-z]+_\d+", member) for member in found) else "sampler"


def coordinate_text(axis: str, coordinate: "str | int | None") -> str:
    """A coordinate below the heading of its axis, in people's words: "16", "β-VAE (β = 4)"; "–" for none."""
    if coordinate in (None, ""):
        return EMPTY
    return member_text(str(coordinate)) if axis == "member" else str(reader_name(axis, coordinate))


def row_texts(row: CellKey) -> list[str]:
    """The coordinates of a row, each for the column of its axis."""
    return [coordinate_text(*part) for part in row]


def head_text(axis: str, coordinate: "str | int | None") -> str:
    """A coordinate without the heading of its axis: "d = 16"."""
    text = coordinate_text(axis, coordinate)
    if axis == "key" and not coordinate:  # a column of a table of several metrics that has one key
        return ""
    return f"d = {text}" if axis == "latent_size" else text


def column_text(column: CellKey) -> str:
    """A column in one line: "MNIST, d = 16"."""
    return ", ".join(filter(None, (head_text(*part) for part in column)))


def column_identifier(column: CellKey) -> str:
    """A column by the identifiers of its coordinates, which a command may name: "mnist, latent 16"."""
    return ", ".join(f"latent {at}" if axis == "latent_size" else str(at or EMPTY) for axis, at in column)


def configuration_text(
    at: Mapping[str, "str | int | None"], axes: Sequence[str] = ("label", "net", "latent_size")
) -> str:
    """The coordinates of a configuration that apply, in one line.

    >>> configuration_text({"label": "vae", "net": None, "latent_size": 2})
    'VAE, d = 2'
    """
    return ", ".join(head_text(axis, at[axis]) for axis in axes if at.get(axis) not in (None, ""))


def format_number(number: float, decimals: int, fixed: bool = False) -> str:
    """A number with fixed decimals and a minus sign (U+2212); very small and very large ones with an exponent.

    fixed: very small numbers also have these decimals, because the reader asked for them.

    >>> format_number(-105.31, 1), format_number(0.00000012, 6), format_number(0.0012, 2, fixed=True)
    ('−105.3', '1.2e−07', '0.00')
    """
    text = f"{number:.{decimals}f}"
    if abs(number) >= 1e7 or (number != 0 and float(text) == 0 and not fixed):
        text = f"{number:.2g}"
    return text.replace("-", "−")


def format_significant(number: float, digits: int = 5) -> str:
    """A number with a few significant digits and a minus sign (U+2212); integers in full.

    >>> format_significant(407050), format_significant(-105.30112), format_significant(0.000012)
    ('407 050', '−105.3', '1.2e−05')
    """
    if number == int(number) and abs(number) < 1e12:
        return f"{int(number):,}".replace(",", " ").replace("-", "−")
    return f"{number:.{digits}g}".replace("-", "−")


def magnitude(number: float) -> int:
    """The exponent of ten of a number other than zero.

    >>> magnitude(0.0438), magnitude(-105.3)
    (-2, 2)
    """
    return math.floor(math.log10(abs(number)))
