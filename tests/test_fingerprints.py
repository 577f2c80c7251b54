"""Records of earlier versions name images in their order; they stay comparable with those that name the set."""

from bench.results.fingerprints import KNOWN, with_sets
from bench.results.store import Record


def record(**provenance):
    training = {"fingerprint": provenance["fingerprint"]}
    return Record(
        "0" * 12, "s", "done", {}, training=training, provenance=provenance, about={"dataset": dict(training)}
    )


def test_an_old_record_takes_the_set_that_a_later_one_names():
    old, new, other = record(fingerprint="aa"), record(fingerprint="set", order="aa"), record(fingerprint="bb")
    first, second, third = with_sets([old, new, other])
    assert first.provenance["fingerprint"] == first.training["fingerprint"] == "set"
    assert first.about["dataset"]["fingerprint"] == "set"
    assert second.provenance == new.provenance
    assert third.provenance == {"fingerprint": "bb"}
    assert old.provenance == {"fingerprint": "aa"}


def test_the_committed_data_are_known():
    (order, content), *_ = KNOWN.items()
    assert with_sets([record(fingerprint=order)])[0].provenance["fingerprint"] == content
