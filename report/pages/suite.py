"""A suite's page: claims with their verdicts, tables, published beside obtained, curves and galleries."""

from bench.report.charts import pareto, trends
from bench.report.charts.curves import curves
from bench.report.data import Suite, mapping, whole
from bench.report.tables import aggregate
from bench.report.tables.footnotes import override_flags
from bench.report.tables.model import Table
from bench.report.tables.published import published
from jinja2 import Environment

from bench.results.store import csv_text, row

from . import claims, tables
from .gallery import galleries
from .variant import variant_pages


def files(env: Environment, suite: Suite, families: list[Table], hues: dict[str, int]) -> dict[str, bytes]:
    """The page, its tables as files, results.csv and suite.yaml; `families`: one table per metric family."""
    base = f"suites/{suite.name}"
    built = tables.suite_tables(suite, families)
    page = env.get_template("suite.html").render(
        root="../../", suite=suite, hues=hues, tables=[tables.table_view(table, name) for name, table in built.items()],
        tools=tables.tools_view(suite, families), published=published(suite), curves=curves(suite, hues),
        pareto=pareto.views(suite, families, hues), trends=trends.views(suite, families, hues),
        galleries=galleries(suite), groups=suite.groups, states=_states(suite), facts=_facts(suite),
        claims=claims.view(suite), pages=variant_pages([suite]), standings=aggregate.view(families),
    )  # fmt: skip
    made = {f"{base}/index.html": page.encode(), f"{base}/results.csv": _results(suite)}
    made[f"{base}/suite.yaml"] = _source(suite).encode()
    for name, table in built.items():
        made |= {f"{base}/tables/{file}": content for file, content in tables.copies(suite, table, name).items()}
    return made


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
    axes = {"Variants": "label", "Nets": "net", "Data": "dataset", "Latent sizes": "latent_size"}
    facts = {}
    for name, axis in axes.items():
        found = dict.fromkeys(g.at[axis] for g in suite.groups if g.at[axis] is not None)
        sizes = [size for size in found if isinstance(size, int)]
        facts[name] = ", ".join(map(str, sorted(sizes) if axis == "latent_size" else found))
    seeds = sorted({cell.seed for cell in suite.cells})
    facts["Seeds"] = ", ".join(map(str, seeds))
    epochs = sorted({e for r in suite.records if (e := whole(mapping(r.cell.get("train")).get("epochs")))})
    facts["Epochs"] = ", ".join(map(str, epochs))
    facts["Measured"] = suite.created
    facts["Suite digest"] = suite.digest[:12]
    facts["Run with"] = override_flags(suite.overrides)
    return {name: text for name, text in facts.items() if text}
