"""Pages generated from the code: a line such as `{{ metrics }}` in a page becomes its content."""

import ast
from typing import Any

from bench import registry

KINDS = ("variants", "nets", "likelihoods", "samplers", "datasets")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for each page."""
    pages = {"metrics": metrics, "metric_inputs": metric_inputs, "methods": methods, "components": components}
    for name, generate in pages.items():
        mark = f"{{{{ {name} }}}}"
        if mark in markdown:
            markdown = markdown.replace(mark, generate())
    return markdown


def metrics() -> str:
    """A table of all metrics, then each with its definition and reference."""
    found = [registry.describe("metrics", name) for name in registry.names("metrics")]
    rows = ["| name | what | unit | better | one value for each | version |", "|---|---|---|---|---|---|"]
    for one in found:
        c = one.constants
        cells = (
            f"[`{one.name}`](#{one.name})",
            one.summary,
            c["unit"],
            c["better"],
            c.get("per") or "cell",
            c.get("version", 1),
        )
        rows.append(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join([*rows, "", *map(_section, found)])


def metric_inputs() -> str:
    """What the contract of a metric says: its inputs and how to declare one."""
    text = (registry.ROOT / registry.PLACES["metrics"] / "__init__.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(text)) or ""


def methods() -> str:
    """The table of `python -m benchmarks.methods`: proofs, comparisons, numbers on the digits."""
    import sys

    root = str(registry.ROOT.parent)
    if root not in sys.path:
        sys.path.insert(0, root)
    from benchmarks import methods as found

    return found.markdown(found.table(found.ROOT / "results")[0])


def components() -> str:
    """Every component of every other kind, with its docstring and its options."""
    parts = []
    for kind in KINDS:
        parts += [f"## {kind.capitalize()}", ""]
        parts += [_section(registry.describe(kind, name)) for name in registry.names(kind)]
    return "\n".join(parts)


def _section(component: registry.Component) -> str:
    options = [f"`{o.name}: {o.annotation}" + ("" if o.default is registry.REQUIRED else f" = {o.default!r}") + "`"
               for o in component.options.values()]  # fmt: skip
    reference = component.constants.get("reference")
    lines = [f"### {component.name}", "", "```text", component.doc, "```", ""]
    lines += [f"Options: {', '.join(options)}", ""] if options else []
    lines += [f"Reference: {reference}", ""] if reference and reference not in component.doc else []
    return "\n".join(lines)
