"""A suite's page: finding, summary, claims, tables by group, published beside obtained, figures, galleries, cells."""

from collections.abc import Iterable
from typing import Any

from bench.report.charts import pareto, trends
from bench.report.charts.curves import curves
from bench.report.data import Suite, mapping, whole
from bench.report.tables import aggregate, build
from bench.report.tables.footnotes import BOLD, override_flags
from bench.report.tables.model import Table
from bench.report.tables.names import configuration_text, coordinate_text
from bench.report.tables.published import published
from jinja2 import Environment

from bench.results.store import csv_text, row

from . import claims, tables
from .findings import Finding, findings, sentences
from .gallery import galleries
from .variant import variant_names, variant_pages

#: Group of metric families on the page -> its families; the others are `FURTHER`
GROUPS = {
    "Reconstruction": ("mse", "psnr", "ssim", "unexplained_variance", "train_mse", "generalisation_gap",
                       "corrupted_mse", "corruption_mse"),
    "Likelihood": ("elbo", "iw_bound", "bits_per_dim", "active_units", "mutual_information"),
    "Generation": ("fid", "kid", "fd_dinov2", "fcd", "fcd_interpolation", "fcd_infinity", "sliced_wasserstein",
                   "precision", "recall", "density", "coverage", "nearest_train", "code_log_likelihood",
                   "sample_confidence", "sample_entropy", "label_agreement"),
    "Representation": ("knn_accuracy", "knn_accuracy_100", "knn_accuracy_600", "knn_accuracy_1000", "linear_probe",
                       "kmeans_nmi", "kmeans_ari", "class_recall_min", "class_recall_max"),
    "Disentanglement": ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness",
                        "factor_vae_score"),
    "Embedding": ("silhouette", "trustworthiness", "continuity"),
}  # fmt: skip
FURTHER = "Further metrics"


def group_of(family: str) -> str:
    """The group of a metric family."""
    return next((group for group, members in GROUPS.items() if family in members), FURTHER)


def files(env: Environment, suite: Suite, families: list[Table], hues: dict[str, int]) -> dict[str, bytes]:
    """The page, its tables as files, results.csv and suite.yaml; `families`: one table per metric family."""
    base = f"suites/{suite.name}"
    built, found = tables.suite_tables(suite, families), findings(suite, families)
    summary = _summary(suite, found)
    page = env.get_template("suite.html").render(
        root="../../", suite=suite, hues=hues, groups_of_tables=_grouped(built),
        summary=_summary_view(summary, found), notes=_shared_notes(built.values()),
        findings=sentences(suite, found),
        tools=tables.tools_view(suite, families), published=published(suite), curves=curves(suite, hues),
        pareto=pareto.views(suite, families, hues), trends=trends.views(suite, families, hues),
        galleries=galleries(suite, families), groups=suite.groups, states=_states(suite), facts=_facts(suite),
        claims=claims.view(suite), pages=variant_names(variant_pages([suite])), standings=aggregate.view(families),
    )  # fmt: skip
    made = {f"{base}/index.html": page.encode(), f"{base}/results.csv": _results(suite)}
    made[f"{base}/suite.yaml"] = _source(suite).encode()
    for name, table in (built | ({"summary": summary} if summary else {})).items():
        made |= {f"{base}/tables/{file}": content for file, content in tables.copies(suite, table, name).items()}
    return made


def _summary(suite: Suite, about: list[Finding]) -> Table | None:
    """Configurations × the main metrics, at the dataset and latent size of the first finding; None without a number."""
    at = about[0].value.at if about else {}
    only = [f"{axis}={at[axis]}" for axis in ("dataset", "latent_size") if at.get(axis) is not None]
    found = build.build(suite, columns=("metric",), only=only)
    return found[0] if found and found[0].columns and not found[0].empty else None


def _summary_view(summary: Table | None, about: list[Finding]) -> dict[str, Any] | None:
    """The summary for the template, with a heading that names the dataset and the latent size."""
    at = about[0].value.at if about else {}
    places = configuration_text(at, ("dataset", "latent_size"))
    heading = f"Summary: {places}" if places else "Summary"
    return tables.table_view(summary, "summary") | {"heading": heading} if summary else None


def _shared_notes(built: Iterable[Table]) -> list[str]:
    """The sentences that stand below all tables with a number; the page shows them once."""
    texts = [table.notes for table in built if not table.empty]
    shared = [sentence for sentence in texts[0] if all(sentence in notes for notes in texts)] if texts else []
    return [sentence for sentence in shared if not sentence.startswith(BOLD)]


def _grouped(built: dict[str, Table]) -> list[tuple[str, list[dict[str, Any]], list[str]]]:
    """Group, the views of its tables and the notes that these share, in the order of `GROUPS`."""
    shared = _shared_notes(built.values())
    found: dict[str, dict[str, Table]] = {group: {} for group in (*GROUPS, FURTHER)}
    for name, table in built.items():
        found[group_of(table.metric)][name] = table
    return [_group_view(group, members, shared) for group, members in found.items() if members]


def _group_view(group: str, members: dict[str, Table], above: list[str]) -> tuple[str, list[dict[str, Any]], list[str]]:
    """above: the notes of the whole page, which are not repeated."""
    views = [tables.table_view(table, name) for name, table in members.items()]
    common = _shared_notes(members.values()) if len(members) > 1 else []
    for view in views:
        view["notes"] = [sentence for sentence in view["notes"] if sentence not in (*above, *common)]
    return group, views, [sentence for sentence in common if sentence not in above]


def _results(suite: Suite) -> bytes:
    return csv_text([row(record) for record in suite.records]).encode()


def _source(suite: Suite) -> str:
    """The suite's file, below comments that state the `--set` it was run with."""
    head = [f"# run with --set {override}" for override in suite.overrides]
    return "\n".join([*head, suite.text])


def _states(suite: Suite) -> dict[str, int]:
    counts = {state: suite.count(state) for state in ("done", "failed", "damaged", "diverged", "skipped", "missing")}
    return {state: n for state, n in counts.items() if n or state == "done"}


def _facts(suite: Suite) -> dict[str, str]:
    """The grid and the training, as names and texts."""
    axes = {"Methods": "label", "Nets": "net", "Data": "dataset", "Latent sizes": "latent_size"}
    facts = {}
    for name, axis in axes.items():
        found = dict.fromkeys(g.at[axis] for g in suite.groups if g.at[axis] is not None)
        sizes = sorted(size for size in found if isinstance(size, int))
        facts[name] = ", ".join(map(str, sizes) if axis == "latent_size" else [coordinate_text(axis, v) for v in found])
    seeds = sorted({cell.seed for cell in suite.cells})
    facts["Seeds"] = ", ".join(map(str, seeds))
    epochs = sorted({e for r in suite.records if (e := whole(mapping(r.cell.get("train")).get("epochs")))})
    facts["Epochs"] = ", ".join(map(str, epochs))
    facts["Measured"] = suite.measured
    facts["Suite digest"] = suite.digest[:12]
    facts["Run with"] = override_flags(suite.overrides)
    return {name: text for name, text in facts.items() if text}
