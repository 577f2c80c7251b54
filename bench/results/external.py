"""The id of a measurement of a model that was trained elsewhere, from what its record says of it.

Such a record has no method and no training budget of this package. `cell["external"]` holds the sha256 of each thing
that was given: the file of the model's source, and its outputs. They take the place of method, net and budget.
"""

from collections.abc import Mapping
from typing import Any

from bench.suite.cells import EVALUATION_PROTOCOL, Choice, dataset_content, digest, recorded_choice
from bench.suite.schema import Evaluate

VARIANT = "external"  #: what such a record has as the name of its method


def external_id(cell: Mapping[str, Any]) -> str:
    """12 hex digits: the hash of what was given, the data, the likelihood, the seed and the evaluation protocol.

    cell: as in the record. Raises `KeyError`, `TypeError`, `ValueError` or `UsageError` for a wrong shape or an unknown
    component.
    """
    likelihood = cell.get("likelihood")
    return digest({
        "external": dict(cell["external"]),
        "dataset": dataset_content(recorded_choice(cell, "dataset", "dataset_options"), cell["dataset_label"]),
        "likelihood": likelihood and Choice(likelihood, cell["likelihood_options"]).content("likelihoods"),
        "seed": cell["seed"],
        "evaluation": {"protocol": EVALUATION_PROTOCOL, **Evaluate.model_validate(cell["evaluate"]).content},
    })  # fmt: skip
