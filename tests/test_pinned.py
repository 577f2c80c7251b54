"""A cell's id leaves out what is at its default; so a default may only change together with a version.

`pinned_defaults.json` holds every default with the version it belongs to. After raising a component's `version` (or
TRAINING_PROTOCOL, EVALUATION_PROTOCOL), or adding an option or a component, write it anew:  python tests/test_pinned.py
"""

import json
from pathlib import Path

from bench import registry
from bench.suite import Evaluate, Train
from bench.suite.cells import EVALUATION_PROTOCOL, TRAINING_PROTOCOL

FILE = Path(__file__).with_name("pinned_defaults.json")


def present():
    found = {
        "train": {"version": TRAINING_PROTOCOL, "defaults": Train().model_dump(mode="json")},
        "evaluate": {"version": EVALUATION_PROTOCOL, "defaults": Evaluate().model_dump(mode="json")},
    }
    for kind in registry.KINDS:
        for name in registry.names(kind):
            component = registry.describe(kind, name)
            options = {o.name: o.default for o in component.options.values() if o.default is not registry.REQUIRED}
            version = component.constants.get("version", 1)
            found[f"{kind}/{name}"] = {"version": version, "defaults": options}
    return json.loads(json.dumps(found))


def test_no_default_changed_without_its_version():
    now = present()
    for name, pinned in json.loads(FILE.read_text(encoding="utf-8")).items():
        if name in now and now[name]["version"] == pinned["version"]:
            for option, default in pinned["defaults"].items():
                assert now[name]["defaults"].get(option) == default, f"{name}: {option} changed, raise the version"


if __name__ == "__main__":
    FILE.write_text(json.dumps(present(), indent=1) + "\n", encoding="utf-8")
