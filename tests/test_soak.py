"""The parts of `make soak` that run processes, in short: fewer kills, two cells, less training."""

import soak
from soak_faults import faults
from soak_processes import SUITE, kills, runners

SMALL = SUITE.replace("[ae, vae, pca]", "[vae, pca]").replace("seeds: 2", "seeds: 1").replace("epochs: 30", "epochs: 6")
SECONDS = 0.7  #: about what SMALL takes


def test_what_is_recorded_survives_kills_and_the_end_is_that_of_an_undisturbed_run(tmp_path):
    assert kills(tmp_path, 5, SMALL, SECONDS).total() == 5


def test_two_runners_of_which_one_is_killed_train_each_cell_once(tmp_path):
    assert runners(tmp_path, [(2, 0), (2, 1)], SMALL, SECONDS).total() == 2


def test_faults_end_with_one_message_and_the_next_run_completes_the_suite(tmp_path):
    kinds = ("sigterm", "sigint", "large files forbidden", "truncated training state", "damaged suite json",
             "symlinked lock", "live heartbeat of another host", "second suite of one name",
             "closed output")  # fmt: skip
    counts = faults(tmp_path, 1, kinds, SMALL, SECONDS)
    assert set(counts) == set(kinds)
    assert counts["large files forbidden"] == counts["symlinked lock"] == 1


def test_every_part_of_the_soak_is_found():
    assert set(soak.parts()) == {"faults", "images", "kills", "records", "runners", "suites"}
