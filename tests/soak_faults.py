"""Faults around a running `bench run`, of many kinds: each is one message, and the next run ends as if without it.

A kind is a function `fault_NAME(runs, rng)`. It returns the number of faults that it made, 0 where this machine or user
cannot make them.
"""
# ruff: noqa: E501  (a test a line)

import io
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time
from collections import Counter
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from soak_processes import SECONDS, SUITE, Runs, leftovers

#: kinds that need a scheduler, a second host or another network: the tests that hold them
TESTED = {
    "worker of a scheduler that sees another store": "test_cluster.py::test_every_worker_of_a_scheduler_is_checked_before_any_work",
    "lost scheduler": "test_cluster.py::test_a_lost_scheduler_ends_the_run_with_exit_code_3",
    "two hosts and one folder": "test_store.py::test_two_hosts_that_share_a_folder_never_hold_one_cell_together",
    "links that leave the results folder": "test_store.py::test_links_that_leave_the_results_folder_are_refused_and_links_inside_it_are_read",
    "images replaced in place": "test_data_check.py::test_replaced_images_stop_a_run_and_are_named_by_plan_and_verify",
    "damaged cache of decoded images": "test_datasets.py::test_a_damaged_or_impossible_cache_costs_nothing_but_time",
    "silent server of a download": "test_datasets.py::test_a_silent_server_is_given_up",
    "component that cannot be read": "test_plugins.py::test_a_broken_file_costs_only_the_suites_that_ask_for_it",
    "migration that was killed": "test_migrate.py::test_a_migration_that_was_killed_goes_on",
}  # fmt: skip


def soak_faults(folder, n=3):
    """n faults of each kind, and the tests of further kinds. Returns how many there were of each."""
    return faults(folder, n, KINDS) + tested(TESTED)


def tested(kinds):
    """Run the tests of these kinds: kind -> number of cases. Raises `AssertionError` if one fails or is not there."""
    counts = Counter()
    here = Path(__file__).parent

    class Reports:
        def pytest_runtest_logreport(self, report):
            if report.when == "call" and report.passed:
                name = report.nodeid.split("[")[0].split("/")[-1]
                counts[next(kind for kind, test in kinds.items() if test == name)] += 1

    quiet = ["--quiet", "--no-header", "--no-summary", "--numprocesses", "0", "-p", "no:cacheprovider"]
    output = io.StringIO()
    with redirect_stdout(output):
        code = pytest.main([*quiet, *(str(here / test) for test in kinds.values())], plugins=[Reports()])
    assert code == 0, output.getvalue()
    return counts


def faults(folder, n, kinds, suite=SUITE, seconds=SECONDS):
    """n faults of each of these kinds; the last run of each case completes the suite."""
    runs, rng, counts = Runs(folder, suite), random.Random(2), Counter()  # noqa: S311
    runs.seconds = seconds
    for name in kinds:
        for _ in range(n):
            counts[name] += KINDS[name](runs, rng)
            runs.new()
    return counts


def begun(runs, rng):
    """A results folder that a killed process left at a random moment, after its first record."""
    process = runs.start()
    while not runs.records() and process.process.is_alive():
        time.sleep(0.01)
    process.wait(rng.uniform(0, runs.seconds / 2))
    process.send(signal.SIGKILL)
    return sorted(path.parent for path in runs.records())


def refused(runs, *words, code=2, **how):
    """A run that ends with a code and a message that holds these words."""
    process = runs.start(**how)
    found, said = process.wait(), process.said()
    assert found == code, (found, said)
    for word in words:
        assert str(word) in said, said


# -- signals


def signalled(runs, rng, number, code, word):
    process = runs.start()
    process.wait(rng.uniform(0.2, runs.seconds))
    found, said = process.send(number), process.said()
    assert found in (0, code), (found, said)
    if found:
        assert f"{word}; finished cells are kept, run the same command to go on" in said
    assert [p for p in leftovers(runs.results) if p.name != "training.safetensors"] == []
    rows = runs.results / "small" / "results.csv"
    assert not runs.records() or rows.read_text("utf-8").count("\n") == len(runs.records()) + 1
    runs.finish()
    return int(found == code)


def fault_sigterm(runs, rng):
    return signalled(runs, rng, signal.SIGTERM, 143, "terminated")


def fault_sigint(runs, rng):
    return signalled(runs, rng, signal.SIGINT, 130, "interrupted")


def fault_sighup(runs, rng):
    """The terminal was closed: nothing is said or tidied up, the next run does that."""
    process = runs.start()
    process.wait(rng.uniform(0, runs.seconds))
    code = process.send(signal.SIGHUP)
    runs.finish()
    return int(code == -signal.SIGHUP)


# -- the disk


def limit_files(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def fault_large_files_forbidden(runs, rng):
    """The largest file that may be written is random, so that another kind of file is the first to fail."""
    refused(
        runs, "cannot be written", "free some space", runs.results, first=partial(limit_files, rng.randint(2000, 9000))
    )
    assert leftovers(runs.results) == []
    runs.finish()
    return 1


def mounted(runs, options):
    """Mount a small file system at the results folder; False where that is not allowed."""
    runs.results.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(runs.results)]
    return (
        shutil.which("mount") is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )


def unmounted(runs, before):
    """Copy the results to a plain folder, and unmount the small file system."""
    copy = runs.folder / "copy"
    shutil.copytree(runs.results, copy, symlinks=True)
    subprocess.run(["umount", str(runs.results)], check=True)
    runs.results.rmdir()
    copy.rename(runs.results)
    assert before.items() <= runs.records().items()


def disk(runs, options, *words):
    if not mounted(runs, options):
        return 0
    try:
        refused(runs, "cannot be written", runs.results, *words)
        assert [p for p in leftovers(runs.results) if p.name != "training.safetensors"] == []
    finally:
        unmounted(runs, runs.records())
    runs.finish()
    return 1


def fault_disk_full(runs, rng):
    return disk(runs, f"size={4 * rng.randint(8, 40)}k", "No space left on device")


def fault_no_more_files(runs, rng):
    return disk(runs, f"size=20m,nr_inodes={rng.randint(3, 12)}", "No space left on device")


def fault_read_only_folder(runs, rng):
    if not mounted(runs, "size=20m"):
        return 0
    try:
        begun(runs, rng)
        before = runs.records()
        subprocess.run(["mount", "-o", "remount,ro", str(runs.results)], check=True)
        refused(runs, "Read-only file system", "cannot be written")
        assert before == runs.records()
    finally:
        unmounted(runs, runs.records())
    runs.finish()
    return 1


def fault_results_is_a_file(runs, rng):
    runs.results.write_text("text", encoding="utf-8")
    refused(runs, runs.results)
    assert runs.results.read_text("utf-8") == "text"
    runs.results.unlink()
    return 1


# -- files of a cell


def truncated(path, rng):
    raw = path.read_bytes()
    path.write_bytes(raw[: rng.randrange(len(raw))])


def fault_truncated_checkpoint(runs, rng):
    cell = rng.choice(begun(runs, rng))
    truncated(cell / "checkpoint.safetensors", rng)
    (cell / "record.json").unlink()
    runs.finish()
    return 1


def fault_truncated_training_state(runs, rng):
    process = runs.start()
    while not (states := list(runs.results.glob("small/*/training.safetensors"))) and process.process.is_alive():
        time.sleep(0.005)
    process.send(signal.SIGKILL)
    for state in states:
        if state.exists():
            truncated(state, rng)
    runs.finish()
    return len(states)


def fault_odd_checkpoint_header(runs, rng):
    from soak_cases import FILES

    cell = rng.choice(begun(runs, rng))
    (cell / "checkpoint.safetensors").write_bytes(rng.choice(FILES["checkpoint.safetensors"]))
    (cell / "record.json").unlink()
    runs.finish()
    return 1


def fault_damaged_record(runs, rng):
    from soak_cases import FILES

    cell = rng.choice(begun(runs, rng))
    damaged = rng.choice(FILES["record.json"])
    (cell / "record.json").write_bytes(damaged)
    refused(runs, cell / "record.json", "1 damaged", code=1)
    assert (cell / "record.json").read_bytes() == damaged
    runs.finish("--retry-failed")
    return 1


def fault_damaged_suite_json(runs, rng):
    begun(runs, rng)
    path = runs.results / "small" / "suite.json"
    path.write_bytes(rng.choice([b"", b"{", b"[" * 100_000, b'{"schema": 2}', path.read_bytes()[:500]]))
    runs.finish()
    json.loads(path.read_bytes())
    return 1


# -- locks


def fault_symlinked_lock(runs, rng):
    cell = rng.choice(sorted(runs.expected))
    precious, folder = runs.folder / "precious", runs.results / "small" / cell
    precious.write_text("text", encoding="utf-8")
    folder.mkdir(parents=True)
    lock = folder / rng.choice([".lock", ".heartbeat"])
    lock.symlink_to(precious)
    refused(runs, lock, "must be a plain file", "1 damaged", code=1)
    assert precious.read_text("utf-8") == "text"
    lock.unlink()
    runs.finish()
    return 1


def heartbeat(runs, rng, age):
    """A sign of life of another host in the folder of a cell, so many seconds old."""
    folder = runs.results / "small" / rng.choice(sorted(set(runs.expected) - {p.parent.name for p in runs.records()}))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".lock").touch()
    path = folder / ".heartbeat"
    about = {"host": f"not-{socket.gethostname()}", "pid": 1, "since": "2026-01-01T00:00:00Z", "token": "t"}
    path.write_text(json.dumps(about), encoding="utf-8")
    os.utime(path, (time.time() - age,) * 2)
    return path


def fault_stale_heartbeat_of_another_host(runs, rng):
    heartbeat(runs, rng, age=rng.uniform(700, 1e6))
    runs.finish()
    return 1


def fault_live_heartbeat_of_another_host(runs, rng):
    path = heartbeat(runs, rng, age=rng.uniform(0, 300))
    refused(runs, "1 running", code=3)
    assert path.exists()
    assert len(runs.records()) == len(runs.expected) - 1
    path.unlink()
    runs.finish()
    return 1


# -- what is asked for


def fault_second_suite_of_one_name(runs, rng):
    begun(runs, rng)
    before = {p: p.read_bytes() for p in runs.results.rglob("*") if p.is_file()}
    other = runs.folder / "elsewhere" / "small.yaml"
    other.parent.mkdir(exist_ok=True)
    text = SUITE.replace("title: Small", "title: Another").replace("epochs: 30", f"epochs: {rng.randint(20, 50)}")
    other.write_text(text, encoding="utf-8")
    refused(runs, "'Small'", "'Another'", "--force", file=other)
    assert before == {p: p.read_bytes() for p in before}
    runs.finish()
    return 1


def on_arrays(runs, arrays, *words):
    """A run on an npz of arrays that cannot be used: nothing is written."""
    path = runs.folder / "arrays.npz"
    np.savez(path, **arrays)
    file = runs.folder / "own.yaml"
    file.write_text(SUITE.replace("[digits]", f"[{{name: array, path: {path}, split: 0.2}}]"), encoding="utf-8")
    refused(runs, path, *words, file=file)
    assert not runs.results.exists()
    path.unlink()


def fault_missing_data(runs, rng):
    file = runs.folder / "missing.yaml"
    file.write_text(SUITE.replace("[digits]", "[{name: folder, path: nowhere}]"), encoding="utf-8")
    refused(runs, "nowhere", file=file)
    assert not runs.results.exists()
    return 1


def fault_labels_that_are_not_numbers(runs, rng):
    images = np.zeros((20, 8, 8), np.uint8)
    labels = rng.choice([np.full(20, np.nan), np.full(20, np.inf), np.full(20, 0.5), np.arange(20) * 1j])
    on_arrays(runs, {"images": images, "labels": labels}, "labels")
    return 1


def fault_empty_arrays(runs, rng):
    shape = rng.choice([(0, 8, 8), (20, 0, 8), (20, 8, 0), (0,), ()])
    on_arrays(runs, {"images": np.zeros(shape, np.uint8), "labels": np.zeros(20, np.int64)}, "images")
    return 1


def fault_closed_output(runs, rng):
    """Nobody reads what is printed any more, as in `bench run ... 2>&1 | head -1`."""
    process = runs.start(first=close_output)
    assert process.wait() in (0, 1, 2), process.said()
    runs.finish()
    return 1


def close_output():
    reader, writer = os.pipe()
    os.close(reader)
    os.dup2(writer, 1)
    os.dup2(writer, 2)


#: words that name the kind -> function
KINDS = {
    name.removeprefix("fault_").replace("_", " "): function
    for name, function in list(globals().items())
    if name.startswith("fault_")
}
