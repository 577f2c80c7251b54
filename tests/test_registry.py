"""What the registry reads off the files with `ast` is what Python makes of them on import."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from bench import registry
from bench.errors import UsageError
from bench.registry import REQUIRED

CLASS_KINDS = ("variants", "nets", "samplers", "datasets", "likelihoods")
CLASSES = [(kind, name) for kind in CLASS_KINDS for name in registry.names(kind)]
METRICS = registry.names("metrics")


@pytest.mark.parametrize(("kind", "name"), CLASSES)
def test_constants_read_statically_are_those_of_the_class(kind, name):
    component, cls = registry.describe(kind, name), registry.load(kind, name)
    assert component.symbol == cls.__name__
    assert component.constants == {key: getattr(cls, key) for key in component.constants}


@pytest.mark.parametrize(("kind", "name"), CLASSES)
def test_every_constant_of_the_contract_is_read(kind, name):
    cls = registry.load(kind, name)
    base = next(base for base in cls.__mro__ if base.__name__ == registry.KINDS[kind])
    declared = {key for key in base.__annotations__ if key in vars(base)}
    assert declared <= set(registry.describe(kind, name).constants)


@pytest.mark.parametrize(("kind", "name"), CLASSES)
def test_options_read_statically_are_the_keyword_only_parameters(kind, name):
    component, cls = registry.describe(kind, name), registry.load(kind, name)
    parameters = inspect.signature(cls).parameters.values()
    actual = {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert list(component.options) == list(actual)
    for option in component.options.values():
        default = actual[option.name].default
        assert option.default == (REQUIRED if default is inspect.Parameter.empty else default)
        # an inherited option is annotated in the words of the contract's file
        where = vars(import_module(registry.package_of(kind))) | vars(sys.modules[cls.__module__])
        annotation = eval(option.annotation, where)  # noqa: S307  (our own source)
        assert annotation == actual[option.name].annotation


@pytest.mark.parametrize("name", METRICS)
def test_what_a_metric_declares_is_read_statically(name):
    component, metric = registry.describe("metrics", name), registry.load("metrics", name)
    assert metric.name == name
    assert component.constants == {key: getattr(metric, key) for key in component.constants}
    assert {"unit", "better", "counts"} <= set(component.constants)
    module = inspect.getmodule(metric.function)
    assert component.doc == (inspect.getdoc(module) or inspect.getdoc(metric.function))


@pytest.mark.parametrize(("kind", "name"), [*CLASSES, *(("metrics", name) for name in METRICS)])
def test_every_component_says_in_one_line_what_it_is(kind, name):
    assert 10 < len(registry.describe(kind, name).summary) <= 200


def test_describing_everything_imports_no_heavy_package():
    code = (
        "import sys; from bench import registry as r;"
        "[r.describe(k, n) for k in r.KINDS for n in r.names(k)];"
        "print(sorted({'torch', 'numpy', 'pandas', 'sklearn'} & set(sys.modules)))"
    )
    root = Path(registry.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match="unknown variant 'vaee'; did you mean 'vae'"):
        registry.describe("variants", "vaee")


def test_helper_files_are_no_components():
    assert not [name for kind in registry.KINDS for name in registry.names(kind) if name.startswith("_")]


@pytest.mark.parametrize("kind", ["variants", "nets", "samplers", "datasets", "metrics"])
def test_every_component_declares_names_for_readers(kind):
    components = [registry.describe(kind, name) for name in registry.names(kind)]
    for component in components:
        assert component.constants.get("title"), component.name
        assert component.constants.get("symbol"), component.name
        assert set(component.constants.get("option_symbols", {})) <= set(component.options)
        assert kind != "metrics" or component.constants["unit"]
    for names in ([c.title for c in components], [c.short_title for c in components]):
        assert len(set(names)) == len(names)


def test_a_name_that_is_not_installed_is_made_readable():
    assert registry.short_title("variants", "vae") == "VAE"
    assert registry.short_title("variants", "their_vae") == "their vae"
