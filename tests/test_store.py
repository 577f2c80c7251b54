"""A record exists = the cell is settled; nothing read back is trusted."""

import errno
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from bench import load_results
from bench.errors import ResultError, StorageError, UsageError
from bench.results import files, locks, problems
from bench.results.store import Record, Store, read_arrays, write_arrays, write_bytes, write_history, write_json

ID = "0123456789ab"


def record(cell_id=ID, **changes):
    cell = {"dataset": "digits", "variant": "vae", "label": "vae", "net": "mlp", "latent_size": 2, "seed": 0}
    metrics = {
        "mse": {"value": 0.5, "unit": "u", "better": "lower", "n": 3, "version": 1},
        "fcd_prior": {"value": None, "reason": "none here", "family": "fcd"},
    }
    fields = {"status": "done", "cell": cell, "metrics": metrics, "timings": {"train": 1.5, "parts": {}}}
    return Record(**({"id": cell_id, "suite": "s", **fields} | changes))


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    store.write_suite("s", {"name": "s", "about": {"metrics": {"fcd": {"doc": "long text"}}}})
    return store


def test_a_record_comes_back_as_it_was_written(store):
    store.write(record(reason="why"))
    again = store.record("s", ID)
    assert (again.id, again.status, again.reason, again.metrics) == (ID, "done", "why", record().metrics)
    assert again.value("mse") == 0.5
    assert again.value("fcd_prior") is None
    assert [r.id for r in store.records("s")] == [ID]
    assert store.suites() == ["s"]


def test_columns_get_the_texts_of_their_family(store):
    store.write(record(about={"metrics": {"fcd": {"summary": "short"}}}))
    assert store.record("s", ID).about["metrics"]["fcd_prior"] == {"doc": "long text", "summary": "short"}


def test_texts_that_a_suite_writes_anew_are_seen(store):
    store.write(record(about={"metrics": {"fcd": {"summary": "short"}}}))
    assert store.record("s", ID).about["metrics"]["fcd_prior"]["doc"] == "long text"
    store.write_suite("s", {"name": "s", "about": {"metrics": {"fcd": {"doc": "another text"}}}})
    assert store.record("s", ID).about["metrics"]["fcd_prior"]["doc"] == "another text"


def test_records_written_meanwhile_are_read_the_next_time(store):
    store.write(record())
    assert [r.value("mse") for r in store.records("s")] == [0.5]
    store.write(record(metrics={"mse": {"value": 0.25}}))
    store.write(record("ffffffffffff"))
    assert [r.value("mse") for r in store.records("s")] == [0.25, 0.5]


def test_reading_leaves_the_collector_of_garbage_as_it_was(store):
    write_bytes(store.folder("s", ID) / "record.json", b"damaged")
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            store.records("s")
            assert gc.isenabled() == enabled
        finally:
            gc.enable()


def test_a_cell_without_a_record_is_not_settled(store):
    store.folder("s", ID).mkdir()
    assert store.record("s", ID) is None
    assert store.records("s") == []


def test_a_kill_while_writing_leaves_the_old_file_whole(tmp_path):
    """A process that writes without end is killed; the file is always one of the two versions."""
    path = tmp_path / "f.json"
    code = (
        "import sys; from pathlib import Path; from bench.results.store import write_json\n"
        "while True:\n"
        "    for value in ('a' * 300000, 'b' * 300000): write_json(Path(sys.argv[1]), {'v': value})\n"
    )
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, str(path)])
        while not path.exists():
            time.sleep(0.01)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert len(set(json.loads(path.read_text())["v"])) == 1


def test_a_claimed_cell_is_refused_to_others_and_free_again_after_a_kill(store):
    code = (
        "import sys, time; from pathlib import Path; from bench.results.store import Store\n"
        f"with Store(Path(sys.argv[1])).claim('s', '{ID}') as mine:\n"
        "    print(mine, flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(store.root)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "True\n"
    assert store.holder("s", ID) is not None
    with store.claim("s", ID) as mine:
        assert not mine
    process.kill()
    process.wait()
    process.stdout.close()
    assert store.holder("s", ID) is None
    with store.claim("s", ID) as mine:
        assert mine
    assert not (store.folder("s", ID) / ".lock").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not readable as JSON"),
        ("[]", "schema 'list'"),
        ('{"schema": 99}', "schema 99, this version reads schema 1; a later version of bench wrote it"),
        ('{"schema": 1, "id": 3}', "'id': Input should be a valid string, and"),
        (json.dumps({"schema": 1, **record(status="dreaming").as_json()}), "unknown status 'dreaming'"),
        (json.dumps(record("aaaaaaaaaaaa").as_json()), "lies in the folder of"),
        (json.dumps(record(metrics={"mse": {"value": "0.5"}}).as_json()), "'metrics.mse.value'"),
        (json.dumps(record(metrics={"mse": {"value": float("nan")}}).as_json()), "not readable as JSON"),
    ],
)
def test_a_damaged_record_costs_only_itself_and_is_named_once(store, caplog, content, message):
    problems.forget()
    store.write(record("ffffffffffff"))
    write_bytes(store.folder("s", ID) / "record.json", content.encode())
    for _ in range(2):
        bad, good = store.records("s")
    assert (bad.id, bad.status, bad.metrics) == (ID, "damaged", {})
    assert (good.status, good.value("mse")) == ("done", 0.5)
    [line] = caplog.messages
    assert line == bad.reason
    assert message in line
    assert f"{ID}/record.json" in line
    assert "--retry-failed" in line


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", ".hidden", "rulers", "a\nb"])
def test_a_name_that_is_no_name_never_becomes_a_path(store, name):
    with pytest.raises(UsageError):
        store.suite_folder(name)


@pytest.mark.parametrize("cell_id", ["..", "0123456789AB", "short", "0123456789ab/.."])
def test_an_id_that_is_no_id_never_becomes_a_path(store, cell_id):
    with pytest.raises(ResultError):
        store.folder("s", cell_id)


def test_nan_is_refused_since_it_is_not_json(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"value": float("nan")})


def test_pickled_arrays_are_not_read(tmp_path):
    np.savez(tmp_path / "a.npz", evil=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ResultError, match="not a readable array file"):
        read_arrays(tmp_path / "a.npz")


def test_arrays_and_history_come_back(store):
    folder = store.folder("s", ID)
    write_arrays(folder / "codes.npz", {"codes": np.eye(3)}, compress=False)
    assert np.array_equal(read_arrays(folder / "codes.npz")["codes"], np.eye(3))
    write_arrays(folder / "embeddings.npz", {"latent": np.eye(2, dtype=np.float32)})
    write_history(folder, [{"epoch": 1, "train_loss": 2.5}, {"epoch": 2, "train_loss": float("nan")}])
    store.write(record())
    found = store.record("s", ID)
    assert np.array_equal(found.embeddings()["latent"], np.eye(2))
    assert found.history()[0] == {"epoch": 1.0, "train_loss": 2.5}
    assert np.isnan(found.history()[1]["train_loss"])


def test_results_csv_has_a_row_a_record_with_every_column(store):
    store.write(record())
    store.write(record("ffffffffffff", metrics={"psnr": {"value": 9.0}}, status="failed", reason="a, b\nc"))
    store.write(record("eeeeeeeeeeee"))  # left by an earlier version of the suite
    cells = [{"id": ID}, {"id": "ffffffffffff"}]
    store.write_suite("s", {"name": "s", "cells": cells})
    import csv

    with store.write_csv("s").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [r["id"] for r in rows] == [ID, "ffffffffffff"]
    assert rows[0]["mse"] == "0.5"
    assert rows[0]["psnr"] == ""
    assert rows[1]["psnr"] == "9.0"
    assert rows[1]["reason"] == "a, b\nc"
    assert rows[0]["train_seconds"] == "1.5"


def test_a_cell_is_found_by_the_beginning_of_its_id(store):
    store.write(record())
    store.write(record("0199999999ab"))
    assert store.find("0123").id == ID
    assert store.find("s/0123").id == ID
    with pytest.raises(UsageError, match="ambiguous"):
        store.find("01")
    with pytest.raises(UsageError, match="no cell 'ff'"):
        store.find("ff")
    with pytest.raises(UsageError, match="not a cell id"):
        store.find("../etc")


def test_a_cell_that_two_suites_share_is_one_row_of_all_results_and_one_of_each_suites(store, tmp_path):
    store.write_suite("s", {"name": "s", "cells": [{"id": ID}, {"id": "ffffffffffff"}]})
    store.write_suite("t", {"name": "t", "cells": [{"id": ID}, {"id": "eeeeeeeeeeee"}]})
    store.write(record())
    store.write(record("ffffffffffff"))
    metrics = {"mse": {"value": 0.5}, "psnr": {"value": 9.0}, "fcd_prior": {"value": 3.0}}
    store.write(record(suite="t", metrics=metrics))
    store.write(record("eeeeeeeeeeee", suite="t"))
    every = load_results(tmp_path).set_index("id")
    assert every["suites"].to_dict() == {ID: "s, t", "ffffffffffff": "s", "eeeeeeeeeeee": "t"}
    assert every["mse"].count() == 3
    shared = every.loc[ID]
    assert (shared["suite"], shared["psnr"], shared["fcd_prior"]) == ("s", 9.0, 3.0)
    own = load_results(tmp_path, "t").set_index("id")
    assert sorted(own.index) == [ID, "eeeeeeeeeeee"]
    assert list(own["suite"]) == ["t", "t"]
    assert "suites" not in own


def test_a_metric_of_several_versions_has_a_column_that_tells_them_apart(store, tmp_path):
    store.write_suite("s", {"name": "s", "cells": [{"id": ID}, {"id": "ffffffffffff"}]})
    store.write(record(metrics={"mse": {"value": 1.0}, "fcd_gmm": {"value": 3.0, "version": 1}}))
    newer = {"mse": {"value": 1.0, "version": 1}, "fcd_gmm": {"value": 4.0, "version": 1, "sampler_version": 2}}
    store.write(record("ffffffffffff", metrics=newer))
    for found in (load_results(tmp_path), load_results(tmp_path, "s")):
        assert found.set_index("id")["fcd_gmm_version"].to_dict() == {ID: "1", "ffffffffffff": "1, sampler 2"}
        assert "mse_version" not in found


def test_of_a_shared_cell_the_suite_in_which_it_is_done_counts(store, tmp_path):
    for name, status in (("s", "failed"), ("t", "done")):
        store.write_suite(name, {"name": name, "cells": [{"id": ID}]})
        store.write(record(suite=name, status=status, **({"metrics": {}} if status == "failed" else {})))
    [row] = load_results(tmp_path).to_dict("records")
    assert (row["suite"], row["suites"], row["status"], row["mse"]) == ("t", "s, t", "done", 0.5)


def test_an_unknown_suite_names_the_nearest(store):
    with pytest.raises(UsageError, match="no results of suite 'ss'"):
        store.suite("ss")


def test_reading_imports_no_torch():
    code = "import sys, bench.results.store, bench.runs.plan; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ).returncode == 0


# -- locks


def beat(folder, host, age, pid=1):
    """A heartbeat of another process, `age` seconds old."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ".lock").touch()
    content = {"host": host, "pid": pid, "since": "2026-01-01T00:00:00Z", "token": "t"}
    (folder / ".heartbeat").write_text(json.dumps(content), encoding="utf-8")
    then = time.time() - age
    os.utime(folder / ".heartbeat", (then, then))


@pytest.mark.parametrize(
    ("host", "age", "free"),
    [
        ("elsewhere", 0.0, False),
        ("elsewhere", locks.STALE - 60, False),
        ("elsewhere", locks.STALE + 60, True),
        (socket.gethostname(), 0.0, True),  # `flock` says that the process is gone
    ],
)
def test_a_cell_that_another_host_computes_is_left_alone_until_its_heartbeat_is_stale(store, host, age, free):
    beat(store.folder("s", ID), host, age)
    assert (store.holder("s", ID) is None) is free
    with store.claim("s", ID) as mine:
        assert mine is free
    assert (store.folder("s", ID) / ".heartbeat").exists() is not free


@pytest.mark.parametrize("supported", [True, False])
def test_two_hosts_that_share_a_folder_never_hold_one_cell_together(store, monkeypatch, supported):
    """The second host has locks of its own, which do not see those of the first; or there are none at all."""
    with store.claim("s", ID) as mine:
        assert mine
        monkeypatch.setattr(locks.socket, "gethostname", lambda: "second")
        monkeypatch.setattr(locks, "_lock", lambda descriptor, kind: True if supported else None)
        with store.claim("s", ID) as second:
            assert not second
        assert str(store.holder("s", ID)).startswith(f"process {os.getpid()} on ")
    assert not (store.folder("s", ID)).exists()
    with store.claim("s", ID) as second:
        assert second


def test_without_locks_of_the_file_system_a_live_process_of_this_host_keeps_its_cell(store, monkeypatch):
    monkeypatch.setattr(locks, "_lock", lambda descriptor, kind: None)
    beat(store.folder("s", ID), socket.gethostname(), 0.0, pid=os.getpid())
    assert store.holder("s", ID) is not None
    beat(store.folder("s", ID), socket.gethostname(), 0.0, pid=2**22 + 1)
    assert store.holder("s", ID) is None


def test_a_heartbeat_is_renewed_while_the_cell_is_held(store, monkeypatch):
    monkeypatch.setattr(locks, "BEAT", 0.01)
    path = store.folder("s", ID) / ".heartbeat"
    with store.claim("s", ID):
        os.utime(path, (1, 1))
        for _ in range(500):
            if path.stat().st_mtime > 1:
                break
            time.sleep(0.01)
        assert path.stat().st_mtime > 1


@pytest.mark.parametrize("name", [".lock", ".heartbeat"])
def test_a_lock_that_is_a_link_is_refused_and_what_it_points_to_is_untouched(store, tmp_path, name):
    precious = tmp_path / "precious"
    precious.write_text("text", encoding="utf-8")
    folder = store.folder("s", ID)
    folder.mkdir()
    (folder / name).symlink_to(precious)
    with pytest.raises(ResultError, match="must be a plain file"), store.claim("s", ID):
        pass
    assert precious.read_text(encoding="utf-8") == "text"


# -- links


def test_links_that_leave_the_results_folder_are_refused_and_links_inside_it_are_read(store, tmp_path):
    store.write(record())
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    moved = outside / "record.json"
    moved.write_bytes((store.folder("s", ID) / "record.json").read_bytes())
    (store.folder("s", ID) / "record.json").unlink()
    (store.folder("s", ID) / "record.json").symlink_to(moved)
    assert "leads out of" in store.record("s", ID).reason
    other = store.folder("s", "ffffffffffff")
    other.symlink_to(outside)
    assert [r.status for r in store.records("s")] == ["damaged", "damaged"]
    (store.root / "t").symlink_to(outside)
    (outside / "suite.json").write_text('{"schema": 1}', encoding="utf-8")
    assert store.suites() == ["s"]
    with pytest.raises(ResultError, match="leads out of"):
        store.suite("t")
    (store.root / "alias").symlink_to("s")
    assert store.suites() == ["alias", "s"]


# -- names


def test_a_suite_whose_name_differs_by_case_only_is_refused(store):
    with pytest.raises(UsageError, match="results of a suite 's'"):
        store.write_suite("S", {"name": "S"})


def test_a_renamed_folder_keeps_its_records(store):
    store.write(record())
    (store.root / "s").rename(store.root / "renamed")
    [found] = store.records("renamed")
    assert (found.suite, found.status) == ("renamed", "done")


# -- a full disk, and what killed processes leave


def failing(number):
    def fsync(descriptor):
        raise OSError(number, os.strerror(number))

    return fsync


def test_a_full_disk_is_one_message_and_leaves_no_file_behind(store, monkeypatch):
    store.write(record())
    before = sorted(store.root.rglob("*"))
    monkeypatch.setattr(files.os, "fsync", failing(errno.ENOSPC))
    with pytest.raises(StorageError, match=r"No space left on device.*free some space") as error:
        store.write(record(reason="new"))
    assert "record.json" in str(error.value)
    assert sorted(store.root.rglob("*")) == before
    assert store.record("s", ID).reason is None
    monkeypatch.setattr(files.os, "fsync", failing(errno.EINTR))
    with pytest.raises(InterruptedError):
        store.write(record(reason="new"))
    assert sorted(store.root.rglob("*")) == before


def test_a_file_larger_than_the_system_allows_is_a_full_disk(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(StorageError):
            write_bytes(tmp_path / "large", b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_leftovers_of_killed_processes_are_swept_and_those_of_others_stay(store):
    dead, held, foreign = (store.folder("s", digit * 12) for digit in "abc")
    for folder in (dead, held, foreign):
        folder.mkdir()
        for name in (".lock", ".checkpoint.safetensors.99.tmp"):
            (folder / name).write_bytes(b"part")
    beat(foreign, "elsewhere", 0.0)
    suite = store.suite_folder("s")
    for name, age in ((".results.csv.1.tmp", 2 * files.ABANDONED), (".suite.json.2.tmp", 0)):
        (suite / name).write_bytes(b"part")
        then = time.time() - age
        os.utime(suite / name, (then, then))
    (dead / "history.csv").write_bytes(b"epoch\n")
    (held / ".checkpoint.safetensors.99.tmp").unlink()
    with store.claim("s", "b" * 12) as mine:
        assert mine
        (held / ".checkpoint.safetensors.99.tmp").write_bytes(b"part")
        store.sweep("s")
        assert sorted(p.name for p in dead.iterdir()) == ["history.csv"]
        assert (held / ".checkpoint.safetensors.99.tmp").exists()
    assert sorted(p.name for p in foreign.iterdir()) == [".checkpoint.safetensors.99.tmp", ".heartbeat", ".lock"]
    assert (suite / ".suite.json.2.tmp").exists()
    assert not (suite / ".results.csv.1.tmp").exists()
