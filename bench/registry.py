"""A name in YAML is a file in a folder: `vae` is `bench/models/variants/vae.py`.

Files are read here with `ast` and not imported, so that checking a suite or listing variants needs no torch
and takes milliseconds. A component file declares, as literals, what its contract asks for:

- a *class* kind (variants, nets, samplers, datasets): one class deriving, directly or through a class of a
  sibling file, from the contract's base. Its constants are class attributes; its options are the keyword-only
  parameters of `__init__`.
- a *function* kind (metrics): one function under `@metric(...)`. Its constants are the decorator's keywords.
- likelihoods are shared maths and live together in `bench/models/likelihoods.py`: `LearnedGaussian` is
  `learned_gaussian`.

The first line of the docstring is the one-line description, `reference` the paper. A test compares these static
readings with the imported classes. A file that cannot be read raises `ComponentError` where it is asked for.

Plugins (`bench.plugins`) stand beside the built-in components while they are active. `activate` sets which ones are:
loading a suite activates those that it can name, a run and each of its tasks those that the suite uses.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import plugins
from bench.errors import BenchError, ComponentError, UsageError, did_you_mean
from bench.plugins import PluginFile

ROOT = Path(__file__).parent

#: kind -> its folder under bench/, or the file that holds all of its classes
PLACES = {
    "variants": "models/variants",
    "nets": "models/nets",
    "samplers": "models/samplers",
    "datasets": "datasets",
    "metrics": "evaluation/metrics",
    "likelihoods": "models/likelihoods.py",
}

#: kind -> the base class (or decorator) that marks the component of a file
KINDS = {
    "variants": "Variant",
    "nets": "Net",
    "samplers": "Sampler",
    "datasets": "Dataset",
    "metrics": "metric",
    "likelihoods": "Likelihood",
}

REQUIRED = object()  #: in place of the default of an option that has none


@dataclass(frozen=True)
class Option:
    """One keyword-only parameter of a component: what a suite may set."""

    name: str
    annotation: str
    default: Any  #: a literal, or REQUIRED


@dataclass(frozen=True)
class Component:
    """What a component's file declares, read without importing it."""

    kind: str
    name: str
    symbol: str  #: the class or function in the file
    doc: str
    constants: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Option] = field(default_factory=dict)
    sha256: str | None = None  #: of a plugin's file; None: built in

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return self.doc.strip().split("\n", 1)[0]

    @property
    def title(self) -> str:
        """The full name for readers, `Variational autoencoder`."""
        return self.constants.get("title") or readable_name(self.name)

    @property
    def short_title(self) -> str:
        """The short name in tables, figures and legends, `VAE`."""
        return self.constants.get("symbol") or self.title


_active: dict[tuple[str, str], PluginFile] | None = None  #: None: those of the session and of installed packages


def activate(files: Iterable[PluginFile]) -> None:
    """Make these the plugins of the process, and no others.

    An installed package with the name of a built-in component is left out: it hurts nobody who does not ask for it.
    Raises `ComponentError` for the name of a built-in component, and for a text that its sha256 does not fit.
    """
    global _active
    chosen = {(f.kind, f.name): f for f in files if not (f.installed and f.name in _built_in(f.kind))}
    for (kind, name), file in chosen.items():
        plugins.check_sha256(file)
        if name in _built_in(kind):
            line = _first_definition(file)
            raise ComponentError(f"{file.path}:{line}: {name!r} is a built-in {kind[:-1]}; rename the file")
    if chosen != _active:
        _active = chosen
        _forget()


def reset() -> None:
    """Back to the plugins of the session and of installed packages."""
    global _active
    _active = None
    _forget()


def _forget() -> None:
    for cached in (names, describe, _read):
        cached.cache_clear()


def active() -> dict[tuple[str, str], PluginFile]:
    """Kind and name → file of each active plugin."""
    if _active is None:
        activate(plugins.available())
    assert _active is not None
    return _active


def _first_definition(file: PluginFile) -> int:
    """The line of the first class or function of a file, 1 where it cannot be parsed."""
    try:
        tree = _parse(Path(file.path), file.source)
    except ComponentError:
        return 1
    return next((node.lineno for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)), 1)


@cache
def _built_in(kind: str) -> tuple[str, ...]:
    if kind == "likelihoods":
        return tuple(sorted(_likelihoods()))
    return tuple(sorted(p.stem for p in (ROOT / PLACES[kind]).glob("*.py") if not p.stem.startswith("_")))


@cache
def names(kind: str) -> tuple[str, ...]:
    """All components of a kind, those of active plugins among them, sorted.

    >>> "vae" in names("variants")
    True
    """
    return tuple(sorted([*_built_in(kind), *(name for of, name in active() if of == kind)]))


def is_closed_form(variant: object) -> bool:
    """True for a variant that computes its parameters and is not trained; False also for an unknown one."""
    found = find("variants", str(variant))
    return found is not None and bool(found.constants.get("closed_form"))


def readable_name(name: str) -> str:
    """A name for a component that declares none.

    >>> readable_name("my_vae")
    'my vae'
    """
    return name.replace("_", " ")


_recorded: dict[tuple[str, str], Component] = {}  #: plugins of which only a record is here


def remember(component: Component) -> None:
    """Keep what a record says of a plugin, for readers of results where the file is not; the last one counts."""
    _recorded[component.kind, component.name] = component


def find(kind: str, name: str) -> Component | None:
    """What is known of a component: of its file, else of the records that were read; None: nothing."""
    return describe(kind, name) if name in names(kind) else _recorded.get((kind, name))


def short_title(kind: str, name: str) -> str:
    """The short name of a component, `VAE`; a readable form of a name that nobody declares."""
    found = find(kind, name)
    return found.short_title if found else readable_name(name)


@contextmanager
def built_in_only() -> Iterator[None]:
    """No plugin is active in this block: a report of records is the same wherever it is made."""
    before = _active
    activate(())
    try:
        yield
    finally:
        activate(before.values()) if before is not None else reset()


def check(kind: str, name: str) -> None:
    """Raise `UsageError` with the nearest name unless `name` is a component of `kind`."""
    if name not in names(kind):
        raise UsageError(f"unknown {kind[:-1]} {name!r}{did_you_mean(name, names(kind))}")


@cache
def describe(kind: str, name: str) -> Component:
    """Read a component's file without importing it.

    Raises `UsageError` for an unknown name, `ComponentError` for a file that cannot be read.
    """
    check(kind, name)
    try:
        return _read(kind, name)
    except RecursionError:
        raise ComponentError(f"{_path(kind, name)}: its class derives from itself, or is nested too deeply") from None


def readable(kind: str) -> Iterator[Component]:
    """All components of a kind without those whose files cannot be read."""
    for name in names(kind):
        try:
            yield describe(kind, name)
        except ComponentError:
            continue


@cache
def _read(kind: str, name: str) -> Component:
    """`describe` without the check of the name, which excludes a `_base.py` that components derive from."""
    if kind == "likelihoods":
        return _likelihoods()[name]
    plugin = active().get((kind, name))
    path = _path(kind, name)
    tree = _parse(path, plugin.source if plugin else None)
    if plugin:
        _refuse_relative_imports(tree, path)
    try:
        found = _describe_function(kind, name, tree) if kind == "metrics" else _describe_class(kind, name, tree)
    except _NoLiteralError as error:
        line, text = error.args
        message = f"{path}:{line}: constants and defaults of options must be literals, and {text} is none"
        raise ComponentError(message) from error
    return replace(found, sha256=plugin.sha256) if plugin else found


def _path(kind: str, name: str) -> Path:
    plugin = active().get((kind, name))
    if plugin:
        return Path(plugin.path)
    place = ROOT / PLACES[kind]
    return place if kind == "likelihoods" else place / f"{name}.py"


def _parse(path: Path, source: bytes | None = None) -> ast.Module:
    try:
        return ast.parse(path.read_bytes() if source is None else source, str(path))
    except SyntaxError as error:
        raise ComponentError(f"{path}:{error.lineno or 1}:{error.offset or 1}: {error.msg}") from error
    except (OSError, ValueError, MemoryError) as error:  # ValueError: not UTF-8, or a NUL
        raise ComponentError(f"{path}: cannot be read ({str(error) or 'it is nested too deeply'})") from error


def _refuse_relative_imports(tree: ast.Module, path: Path) -> None:
    """A plugin is one file: what its sha256 does not cover could change its numbers without a word."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            raise ComponentError(
                f"{path}:{node.lineno}: a plugin is one file and imports by full names, "
                "such as from bench.models.variants.vae import VAE"
            )


def package_of(kind: str) -> str:
    """The module that holds the contract of a kind.

    >>> package_of("nets"), package_of("likelihoods")
    ('bench.models.nets', 'bench.models.likelihoods')
    """
    return f"bench.{PLACES[kind].removesuffix('.py').replace('/', '.')}"


def load(kind: str, name: str) -> Any:
    """Import a component: its class, or its function for metrics.

    Raises `UsageError` for an unknown name, `ComponentError` for a file that cannot be read or imported.
    """
    component = describe(kind, name)
    plugin = active().get((kind, name))
    if plugin:
        return getattr(plugins.module_of(plugin), component.symbol)
    package = package_of(kind)
    try:
        module: ModuleType = import_module(package if kind == "likelihoods" else f"{package}.{name}")
    except BenchError:
        raise
    except Exception as error:  # whatever the file's own code raises
        raise ComponentError(f"{_path(kind, name)}: cannot be imported ({type(error).__name__}: {error})") from error
    return getattr(module, component.symbol)


def _describe_class(kind: str, name: str, tree: ast.Module) -> Component:
    siblings = _sibling_imports(kind, tree)
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        bases = [b.id for b in node.bases if isinstance(b, ast.Name)]
        parent = next((_read(kind, siblings[b]) for b in bases if b in siblings), None)
        if parent is None and KINDS[kind] not in bases:
            continue
        constants = dict(parent.constants if parent else _literals(_contract(kind))) | _literals(node)
        options = _init_options(node)
        if options is None:
            options = dict(parent.options) if parent else _init_options(_contract(kind)) or {}
        return Component(kind, name, node.name, _doc(tree, node), constants, options)
    raise ComponentError(f"{_path(kind, name)}: has no class that derives from {KINDS[kind]}")


def _describe_function(kind: str, name: str, tree: ast.Module) -> Component:
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for mark in node.decorator_list:
            if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == KINDS[kind]:
                constants = {k.arg: _literal(k.value) for k in mark.keywords if k.arg}
                return Component(kind, name, node.name, _doc(tree, node), constants)
    raise ComponentError(f"{_path(kind, name)}: has no function under @{KINDS[kind]}(...)")


@cache
def _likelihoods() -> dict[str, Component]:
    """Name -> component, for every class of `bench/models/likelihoods.py` that derives from `Likelihood`."""
    tree = _parse(ROOT / PLACES["likelihoods"])
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    shared = next(_literals(node) for node in classes if node.name == KINDS["likelihoods"])
    found = {}
    for node in classes:
        if KINDS["likelihoods"] in [getattr(b, "id", "") for b in node.bases]:
            name = re.sub(r"(?<!^)(?=[A-Z])", "_", node.name).lower()
            doc, options = ast.get_docstring(node) or "", _init_options(node) or {}
            found[name] = Component("likelihoods", name, node.name, doc, shared | _literals(node), options)
    return found


@cache
def _contract(kind: str) -> ast.ClassDef:
    """The contract's base class in the folder's `__init__.py`: its constants and options are the defaults."""
    tree = _parse(ROOT / PLACES[kind] / "__init__.py")
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == KINDS[kind])


def _sibling_imports(kind: str, tree: ast.Module) -> dict[str, str]:
    """Class name → file of the same kind: from `from .vae import VAE`, or by the full name of that module."""
    package, found = f"{package_of(kind)}.", dict[str, str]()
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or not node.module:
            continue
        sibling = node.module if node.level == 1 else node.module.removeprefix(package)
        if "." not in sibling and (node.level == 1 or node.module.startswith(package)):
            found |= {alias.asname or alias.name: sibling for alias in node.names}
    return found


def _literals(node: ast.ClassDef) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in node.body:
        target: ast.expr | None = None
        value: ast.expr | None = None
        if isinstance(item, ast.AnnAssign) and item.value is not None:
            target, value = item.target, item.value
        elif isinstance(item, ast.Assign) and len(item.targets) == 1:
            target, value = item.targets[0], item.value
        if isinstance(target, ast.Name) and value is not None and not target.id.startswith("_"):
            found[target.id] = _literal(value)
    return found


class _NoLiteralError(ValueError):
    """Its arguments are the line and the text of an expression."""


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, MemoryError) as error:
        text = ast.unparse(node)
        raise _NoLiteralError(node.lineno, text if len(text) <= 40 else f"{text[:40]}…") from error


def _init_options(node: ast.ClassDef) -> dict[str, Option] | None:
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            pairs = zip(item.args.kwonlyargs, item.args.kw_defaults, strict=True)
            return {a.arg: Option(a.arg, _annotation(a), _default(d)) for a, d in pairs}
    return None


def _annotation(arg: ast.arg) -> str:
    return ast.unparse(arg.annotation) if arg.annotation else "Any"


def _default(node: ast.expr | None) -> Any:
    return REQUIRED if node is None else _literal(node)


def _doc(tree: ast.Module, node: ast.ClassDef | ast.FunctionDef) -> str:
    return ast.get_docstring(tree) or ast.get_docstring(node) or ""
