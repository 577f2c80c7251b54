"""The committed records keep their ids: each id is computed again from the record alone, and from its suite."""

import json
from pathlib import Path

import pytest

from bench.suite import Cell, load

ROOT = Path(__file__).parents[1]
RECORDS = sorted((ROOT / "results").glob("*/*/record.json"))
SUITES = sorted({path.parents[1].name for path in RECORDS})


def of_suite(name):
    return {path.parent.name: json.loads(path.read_text("utf-8")) for path in RECORDS if path.parents[1].name == name}


@pytest.mark.skipif(not RECORDS, reason="results/ is not part of this copy")
def test_there_are_records_of_several_suites():
    assert len(RECORDS) > 200
    assert len(SUITES) > 3


@pytest.mark.parametrize("suite", SUITES)
def test_every_record_has_the_id_of_its_cell_and_of_its_folder(suite):
    for folder, record in of_suite(suite).items():
        assert Cell.from_record(record["cell"]).id == record["id"] == folder


@pytest.mark.parametrize("suite", SUITES)
def test_a_cell_rebuilt_from_its_record_writes_the_same_record(suite):
    for record in of_suite(suite).values():
        written = Cell.from_record(record["cell"]).as_record()
        assert {key: written[key] for key in record["cell"]} == record["cell"]


@pytest.mark.parametrize("suite", SUITES)
def test_the_suite_s_file_still_makes_the_cells_of_its_records(suite):
    file = next((ROOT / "suites").rglob(f"{suite}.yaml"), None)
    if file is None:
        pytest.skip(f"{suite} has no file under suites/")
    content = json.loads((ROOT / "results" / suite / "suite.json").read_text("utf-8"))
    of_grid = {entry["id"] for entry in content["cells"]}
    cells = {cell.id: cell.as_record() for cell in load(file, content.get("overrides") or ()).cells}
    compared = {key: record["cell"] for key, record in of_suite(suite).items() if key in of_grid}
    assert compared
    for cell_id, record in compared.items():
        assert is_part_of(record, cells.get(cell_id)), cell_id


def is_part_of(old, new):
    """True if `new` has all values of `old`; a component may have gained options since, and a suite samplers."""
    if isinstance(old, dict) and isinstance(new, dict):
        more = set(old.get("samplers", ())) <= set(new.get("samplers", ()))
        return more and all(k in new and (k == "samplers" or is_part_of(v, new[k])) for k, v in old.items())
    return old == new
