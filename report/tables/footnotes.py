"""The note below a table: every condition of its numbers that rows and columns do not show.

A note is a list of short sentences: seeds, the meaning of bold, fixed coordinates, the metric's key, the number of
images, the training settings, and the suite, code and days of measurement.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any

from bench.report.data import EXTERNAL_SIGN, Coordinates, Suite, commit, day, flatten, mapping, number, outside, words

from bench.results.stats import FEWEST_PAIRS, FEWEST_SEEDS, smallest_lead
from bench.suite.cells import format_value, without_folders
from bench.suite.schema import Embed, Train

from .names import AXIS_NAMES, coordinate_text, head_text, member_name
from .values import QUIET, Value

#: Part of a metric's key -> its name
KEYS = {"iw_k": "importance samples (k)", "knn_k": "neighbours (k)", "inception": "Inception",
        "dinov2": "DINOv2", "probe_codes": "train codes of the linear probe",
        "forest_codes": "train codes of the forests"}  # fmt: skip
#: The axes that a condition may depend on, in the order tried
DECIDING = ("metric", "dataset", "label", "net", "likelihood", "member", "latent_size", "setting")
#: The coordinates that a note names where neither rows nor columns show them
FIXED = ("dataset", "label", "net", "likelihood", "latent_size", "member")
#: Training settings that every note names; the others only where they differ from their default
ALWAYS = ("epochs", "batch_size", "optimizer", "lr", "precision")
DEFAULTS = flatten(Train().model_dump(mode="json"))
FEWEST_SHARED = 4  #: coordinates that share a condition before they are no longer listed
MOST_COMMITS = 3  #: commits listed
LONG_LEAD = 4.0  #: standard deviations; a longer smallest lead is named in a short note too
#: What the entry of a bound has since it has a `quantity` where it bounds no log-likelihood
NEW_WITH_QUANTITY = ("evaluation_draws", "elbo_same_images")
BOLD = "Bold:"  #: first word of the sentence on marks

Facts = Sequence[tuple[Coordinates, str]]  #: a condition at each configuration; "" where it does not apply


def notes(
    suite: Suite, values: Sequence[Value], shown: Collection[str], compared: Sequence[Value] = ()
) -> tuple[str, ...]:  # fmt: skip
    """The sentences below a table of `values` whose rows and columns show the axes `shown`.

    compared: the values of the column with the most compared rows, on which the smallest visible lead depends.
    """
    measured = [value for value in values if value.seeds]
    if not measured:
        return (_origin(suite, measured),)
    sentences = [
        _seeds(measured),
        _bold(measured, compared),
        *_aliases(measured),
        _external(measured),
        _outside(measured),
        _fixed(measured, shown),
        _key(measured),
        _cross_entropy(measured),
        _fewer_images(measured),
        _images(measured),
        _training(measured),
        _maps(measured),
        _origin(suite, measured),
    ]
    return tuple(sentence for sentence in sentences if sentence)


def short_notes(
    suite: Suite, values: Sequence[Value], shown: Collection[str], compared: Sequence[Value] = ()
) -> tuple[str, ...]:  # fmt: skip
    """The note of a compact table: seeds, interval, bold, fixed coordinates, units, budget, suite and digest."""
    measured = [value for value in values if value.seeds]
    if not measured:
        return (_origin(suite, measured),)
    units = {str(value.at["metric"]).rstrip(" ↑↓"): value.unit for value in values if value.unit}
    epochs = _each(measured, lambda value: settings(value).get("epochs", ""))
    origin = [
        f"{epochs} training epochs" if epochs else "",
        f"suite {suite.name}" + (f" ({suite.digest[:12]})" if suite.digest else ""),
        f"run with {override_flags(suite.overrides)}" if suite.overrides else "",
    ]
    sentences = [
        _seeds(measured),
        f"{BOLD} not surely worse than the best (5 %)." if any(value.best for value in measured) else "",
        _long_lead(measured, compared),
        _external(measured),
        _fixed(measured, (*shown, "member", "label")),
        _outside(measured),
        f"Units: {'; '.join(f'{metric} {unit}' for metric, unit in units.items())}." if units else "",
        _closed_form(measured),
        _cross_entropy(measured),
        _fewer_images(measured),
        _sentence([*filter(None, origin)]),
    ]
    return tuple(sentence for sentence in sentences if sentence)


def format_condition(facts: Facts) -> str:
    """One text if all facts agree; else a text per coordinate of the axis that decides it; else all that occur.

    >>> format_condition([({"dataset": "mnist"}, "10000"), ({"dataset": "digits"}, "359")])
    '10000 (MNIST), 359 (Digits)'

    What most coordinates share stands first and does not list them:

    >>> format_condition([({"label": name}, "MLP" if name != "d" else "Conv") for name in "abcdef"])
    'MLP, but Conv (d)'
    """
    facts = [(at, text) for at, text in facts if text]
    distinct = list(dict.fromkeys(text for _, text in facts))
    if len(distinct) < 2:
        return "".join(distinct)
    for axis in DECIDING:
        by = {text: list(dict.fromkeys(at.get(axis) for at, found in facts if found == text)) for text in distinct}
        places = [place for found in by.values() for place in found]
        if len(places) == len(set(places)):
            return _divided(axis, by)
    return " or ".join(distinct)


def _divided(axis: str, by: dict[str, list[Any]]) -> str:
    """Each text with its coordinates on the axis; the coordinates of a large majority are not listed."""
    listed = {text: f"{text} ({', '.join(_place(axis, place) for place in found)})" for text, found in by.items()}
    most = max(by, key=lambda text: len(by[text]))
    if len(by[most]) < FEWEST_SHARED or 2 * len(by[most]) <= sum(map(len, by.values())):
        return ", ".join(listed.values())
    return f"{most}, but {', '.join(line for text, line in listed.items() if text != most)}"


def _place(axis: str, coordinate: str | int | None) -> str:
    return f"no {axis}" if coordinate is None else head_text(axis, coordinate)


def _each(values: Iterable[Value], fact: Callable[[Value], str]) -> str:
    return format_condition([(value.at, fact(value)) for value in values])


# -- the sentences


def _seeds(values: list[Value]) -> str:
    counts = sorted({len(value.seeds) for value in values})
    seeds = sorted({seed for value in values for seed in value.seeds})
    which = f"seed{'s' * (len(seeds) > 1)} {format_seeds(seeds)}"
    if all(len(value.seeds) == 1 for value in values):
        return f"One training seed per configuration ({which}), so there is no interval."
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"Mean ± half-width of the 95 % t-interval over training seeds (n = {span}; {which})."


def format_seeds(seeds: list[int]) -> str:
    """Seeds as a range where they are consecutive.

    >>> format_seeds([0, 1, 2]), format_seeds([0, 7])
    ('0 to 2', '0, 7')
    """
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return words(", ".join(map(str, seeds)), 120)


def _bold(values: list[Value], compared: Sequence[Value]) -> str:
    if not any(value.best for value in values):
        return ""
    n, k = _fewest_seeds(compared), len(compared)
    among = f" and {smallest_lead(n, k):.1f} among the {k} of a column" if k > 2 else ""
    return (
        f"{BOLD} not surely worse than the best of a column (every pair of rows by Welch's t-test, from {FEWEST_PAIRS} "
        "shared seeds on also by the paired one, Holm-corrected; a column leaves out a true best with at most 5 %). "
        f"With {n} seeds a lead is seen from about {smallest_lead(n, 2):.1f} standard deviations between two rows"
        f"{among}. Only complete rows with at least {FEWEST_SEEDS} seeds can be bold; "
        "where a row with missing or too few seeds has the best mean, none is."
    )


def _long_lead(values: list[Value], compared: Sequence[Value]) -> str:
    """Why a row of large spread can be bold: the seeds separate only rows that are far from each other."""
    if not any(value.best for value in values):
        return ""
    n, k = _fewest_seeds(compared), len(compared)
    lead = smallest_lead(n, k)
    return (
        f"With {n} seeds and {k} rows a lead is seen from about {lead:.1f} standard deviations."
        if lead > LONG_LEAD
        else ""
    )


def _fewest_seeds(compared: Sequence[Value]) -> int:
    return min(len(value.seeds) for value in compared)


def _aliases(values: list[Value]) -> list[str]:
    """The variant or dataset behind each label of the user's own."""
    cells = [value.group.cells[0].cell for value in values]
    found = [_alias(cell, "label", "variant", "options") for cell in cells]
    found += [_alias(cell, "dataset_label", "dataset", "dataset_options") for cell in cells]
    return [f"{text}." for text in dict.fromkeys(found) if text]


def _external(values: list[Value]) -> str:
    found = any(value.group.external for value in values)
    return f"{EXTERNAL_SIGN} trained elsewhere, and measured here by the same protocol." if found else ""


def _outside(values: list[Value]) -> str:
    """The plugins behind the values: methods, nets and datasets of their cells, and metrics and samplers."""
    found = {name.partition("/")[2]: sha256 for value in values
             for cell in value.group.cells for name, sha256 in outside(cell).items()}  # fmt: skip
    for value in values:
        parts = dict(value.key)
        for name, part in ((value.metric, "sha256"), (str(value.at.get("member")), "sampler_sha256")):
            found |= {name: parts[part]} if part in parts else {}
    listed = ", ".join(f"{name} (sha256 {sha256})" for name, sha256 in sorted(found.items()))
    return f"Defined outside of bench: {listed}." if listed else ""


def _alias(cell: dict[str, Any], label: str, name: str, options: str) -> str:
    called, real = words(cell.get(label)), words(cell.get(name))
    if name == "variant" and "external" in cell:
        return ""
    if not called or not real or called in (real, coordinate_text(name, real)) or called.startswith(f"{real} ("):
        return ""
    chosen = mapping(cell.get(options))
    if name == "dataset":
        chosen = without_folders(real, chosen)
    chosen = {k: format_value(v) if "from" in mapping(v) else v for k, v in chosen.items()}  # a schedule
    listed = ", ".join(f"{k}={v}" for k, v in flatten(chosen).items() if k and v not in ("", "null"))
    return f"{called} is {coordinate_text(name, f'{real} ({listed})' if listed else real)}"


def _fixed(values: list[Value], shown: Collection[str]) -> str:
    """The coordinates that neither rows nor columns show."""
    axes = [a for a in FIXED if a not in shown and any(value.at.get(a) is not None for value in values)]
    return _sentence([f"{axis_name(axis, values)} {_each(values, partial(_coordinate, axis=axis))}" for axis in axes])


def axis_name(axis: str, values: Iterable[Value]) -> str:
    """The name of an axis; that of "member" follows from the members that occur."""
    if axis == "member":
        return member_name(str(value.at["member"]) for value in values if value.at.get("member"))
    return AXIS_NAMES.get(axis, axis)


def _coordinate(value: Value, axis: str) -> str:
    """The coordinate as text, "" for a yardstick to which the axis does not apply: a closed form has no likelihood."""
    found = value.at.get(axis)
    if value.yardstick and (found is None or axis == "likelihood"):
        return ""
    return "none" if found is None else coordinate_text(axis, found)


def _key(values: list[Value]) -> str:
    """The conditions that must be equal before a value is compared with one of another table."""
    elsewhere = (*QUIET, *Embed.model_fields)  # `_maps` names the settings of maps
    names = dict.fromkeys(name for value in values for name, _ in value.key if name not in elsewhere)
    parts = []
    for name in names:
        found = _each(values, partial(_key_part, name=name))
        if found:
            parts.append(f"{KEYS.get(name, name)} {found}")
    for name, called in (("version", "metric version"), ("sampler_version", "sampler version")):
        found = _each(values, partial(_key_part, name=name))
        parts += [f"{called} {found}"] if found not in ("", "1") else []
    return f"Measured with {', '.join(parts)}." if parts else ""


def _cross_entropy(values: list[Value]) -> str:
    """That a Bernoulli bound of grey pixels bounds no log-likelihood; such entries have the `quantity` of that name."""
    if not any(_bounds_cross_entropy(value) for value in values):
        return ""
    return "The Bernoulli likelihood of grey pixels gives a cross-entropy bound, no bound of log p(x)."


def _fewer_images(values: list[Value]) -> str:
    """That an importance-weighted bound of some test images is not to be compared with the ELBO of all of them."""
    entries = [(mapping(record.metrics.get("iw_bound")), mapping(record.metrics.get("elbo")))
               for value in values if value.metric == "iw_bound" for record in value.records]  # fmt: skip
    counts = [(number(bound.get("n")), number(elbo.get("n"))) for bound, elbo in entries]
    if not any(few is not None and all_ is not None and few < all_ for few, all_ in counts):
        return ""
    where = "a cell's page has the ELBO of the same images"
    return f"The IW bound is of fewer images than the ELBO and may lie below it; {where}."


def _bounds_cross_entropy(value: Value) -> bool:
    """True for a Bernoulli bound of pixels that are not binary, as the records say, or where they are too old to."""
    key = dict(value.key)
    if not key.get("likelihood", "").startswith("bernoulli") or key.get("binarisation") != "none":
        return False
    entries = [mapping(record.metrics.get(value.metric)) for record in value.records]
    return any("quantity" in entry or entry.keys().isdisjoint(NEW_WITH_QUANTITY) for entry in entries)


def _key_part(value: Value, name: str) -> str:
    found = dict(value.key).get(name, "")
    accuracy = classifier_accuracy(value) if name == "classifier" else None
    return found if accuracy is None else f"{found} of test accuracy {accuracy:.4g}"


def classifier_accuracy(value: Value) -> float | None:
    """Test accuracy of the classifier whose features a value was measured in; None where there is none."""
    name = dict(value.key).get("classifier")
    for record in value.records if name else ():
        extractor = mapping(mapping(record.provenance.get("rulers")).get("classifier"))
        if words(extractor.get("name")) == name:
            return number(extractor.get("accuracy"))
    return None


def _images(values: list[Value]) -> str:
    found = _each(values, lambda value: " or ".join(map(str, value.images)))
    return f"Each seed's value is over {found} images." if found else ""


def settings(value: Value) -> dict[str, str]:
    """The training settings of a value's configuration, {} for a closed form and for what was trained elsewhere."""
    if _closed(value) or value.group.external:
        return {}
    train = mapping(value.group.cells[0].cell.get("train"))
    return {name: text for name, text in flatten(train).items() if name} if train else {}


def _training(values: list[Value]) -> str:
    trained = [(value.at, found) for value in values if (found := settings(value))]
    closed = _closed_form(values)
    if not trained:
        return closed
    names = dict.fromkeys([*ALWAYS, *(name for _, found in trained for name in found)])
    parts = []
    for name in names:
        texts = [found.get(name, "") for _, found in trained]
        if name in ALWAYS or any(text not in ("", DEFAULTS.get(name)) for text in texts):
            text = format_condition([(at, text) for (at, _), text in zip(trained, texts, strict=True)])
            parts += [f"{name.replace('_', ' ')} {text}"] if text else []
    trained_with = f"Training: {', '.join(parts)}." if parts else ""
    return f"{trained_with} {closed}".strip()


def _closed_form(values: list[Value]) -> str:
    """The rows that were computed without training."""
    closed = [value for value in values if _closed(value)]
    labels = dict.fromkeys(coordinate_text("label", value.at.get("label")) for value in closed)
    same = any(value.half_width is None and len(value.seeds) > 1 for value in closed)
    found = f"Yardsticks, in closed form and never bold: {', '.join(labels)}." if labels else ""
    return f"{found} Without ±: the same for every seed." if same else found


def _closed(value: Value) -> bool:
    return any(number(record.training.get("epochs")) == 0 for record in value.records)


def _maps(values: list[Value]) -> str:
    """The protocol of the t-SNE and UMAP maps, where values were measured on them."""
    on_maps = [value for value in values if value.at.get("member") in ("tsne", "umap")]
    names = [name for name in Embed.model_fields if name not in ("methods", "points")]
    protocols = [mapping(mapping(value.group.cells[0].cell.get("evaluate")).get("embed")) for value in on_maps]
    parts = []
    for name in names:
        used = [dict(value.key).get(name) for value in on_maps]  # recorded where it is not the protocol's
        facts = [(v.at, u or words(p[name])) for v, p, u in zip(on_maps, protocols, used, strict=True) if name in p]
        parts += [f"{name} {format_condition(facts)}"] if facts else []
    return f"t-SNE and UMAP with {', '.join(parts)}." if parts else ""


def _origin(suite: Suite, values: list[Value]) -> str:
    parts = [f"suite {suite.name}" + (f" ({suite.digest[:12]})" if suite.digest else "")]
    parts += [f"run with {override_flags(suite.overrides)}"] if suite.overrides else []
    found = commits(values)
    parts += [f"code {'; '.join(found)}"] if found else []
    days = dates(values)
    parts += [f"measured {' to '.join(dict.fromkeys([days[0], days[-1]]))}"] if days else []
    return _sentence(parts)


def override_flags(overrides: Iterable[str]) -> str:
    """The `--set` flags that a suite was run with."""
    return " ".join(f"--set {override}" for override in overrides)


def commits(values: Iterable[Value]) -> list[str]:
    """Distinct commits of the code behind the values, at most three, and the number of others."""
    found = sorted({commit(record) for value in values for record in value.records} - {""})
    return found[:MOST_COMMITS] + ([f"and {len(found) - MOST_COMMITS} more"] if len(found) > MOST_COMMITS else [])


def dates(values: Iterable[Value]) -> list[str]:
    """The days on which the values were measured, sorted."""
    return sorted({day(record) for value in values for record in value.records} - {""})


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else ""
