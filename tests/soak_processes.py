"""`bench run` as processes that are killed: what is recorded stays, and the end is that of a run that was left alone.

A process begins without the seconds that importing PyTorch takes: multiprocessing's fork server has imported it once.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SUITE = """\
title: Small
grid: {datasets: [digits], variants: [ae, vae, pca], nets: [{name: mlp, hidden: [16]}], latent_sizes: [2], seeds: 2}
train: {epochs: 30, train_images: 400}
evaluate: {samplers: [prior], n_samples: 60, iw_images: 20, iw_samples: 5, embed: {methods: [tsne], points: 40}}
metrics: [mse, elbo, knn_accuracy]
"""
#: of one run of SUITE on an idle core; a process that is to be killed lives up to this long
SECONDS = 2.0


@cache
def server():
    """The context whose processes are forked from a server that has imported this module."""
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["soak_imports", __name__])
    return context


def nothing():
    """What most processes do before they run bench."""


class Process:
    """A `python -m bench ...`, whose output goes to a file.

    trained: each checkpoint that it writes is a line of this file. first: is called in the process before bench.
    """

    def __init__(self, arguments, log, trained, first=nothing):
        self.log = Path(log)
        self.log.unlink(missing_ok=True)
        given = ([str(a) for a in arguments], str(log), str(trained), first)
        self.process = server().Process(target=_main, args=given, daemon=True)
        self.process.start()
        deadline = time.monotonic() + 60
        while not self.log.exists():  # until then it is not in bench, but in multiprocessing
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def wait(self, seconds=300):
        """Its exit code; None if it is still at work after so many seconds."""
        self.process.join(seconds)
        return self.process.exitcode

    def send(self, number):
        """Send a signal, and wait for the end. Returns its exit code, which is minus the signal's number of a kill."""
        if self.process.exitcode is None:
            os.kill(self.process.pid, number)
        code = self.wait()
        assert code is not None, self.said()
        return code

    def said(self):
        """What it has printed. A traceback is a failure."""
        text = self.log.read_text("utf-8")
        assert "Traceback" not in text, text
        return text


def _main(arguments, log, trained, first):
    from bench.__main__ import main
    from bench.training import checkpoint, resume

    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the server runs in the background
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    resume.ResumePoint.__init__.__defaults__ = (0.0,)  # the state of a training is kept after every epoch
    save = checkpoint.save

    def saved(model, path, training):
        save(model, path, training)
        with Path(trained).open("a", encoding="utf-8") as file:
            file.write(f"{path.parent.name}\n")

    checkpoint.save = saved
    sys.argv = ["bench", *arguments]
    with open(log, "ab", buffering=0) as file:  # noqa: PTH123
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    first()
    main()


class Runs:
    """Runs of one suite in folders that are made for it, each compared with the one that was left alone."""

    def __init__(self, folder, suite=SUITE):
        self.folder, self.file, self.trained = folder, folder / "small.yaml", folder / "trained"
        self.file.write_text(suite, encoding="utf-8")
        self.results, self.number = folder / "results", 0
        assert self.start(results=folder / "alone").wait() == 0
        self.expected = outcome(folder / "alone")
        self.new()

    def new(self):
        """Begin with an empty results folder."""
        shutil.rmtree(self.results, ignore_errors=True)
        self.trained.unlink(missing_ok=True)

    def start(self, *flags, results=None, first=nothing, file=None):
        """A process that runs the suite with one worker."""
        self.number += 1
        where = ("--results", results or self.results, "--workers", 1, "--offline", "--device", "cpu")
        log = self.folder / f"{self.number % 20}.log"
        return Process(["run", file or self.file, *where, *flags], log, self.trained, first)

    def records(self):
        """Path → bytes of every record that is there."""
        return {path: path.read_bytes() for path in self.results.glob("small/*/record.json")}

    def complete(self):
        """True if every cell has its record."""
        return len(self.records()) == len(self.expected)

    def finish(self, *flags):
        """Run to the end, undisturbed; all is then as if nothing had happened, and no file is left."""
        before = self.records()
        process = self.start(*flags, first=sweep_at_once)
        assert process.wait() == 0, process.said()
        assert f"{len(self.expected)} done of {len(self.expected)}" in process.said()
        assert flags or before.items() <= self.records().items(), "a record was written anew"
        found = outcome(self.results)
        different = [(i, k) for i, parts in self.expected.items() for k, v in parts.items() if found[i][k] != v]
        assert different == []
        assert found.keys() == self.expected.keys()
        assert leftovers(self.results) == []
        return process.said()

    def times_trained(self):
        """Cell → number of checkpoints written for it."""
        return Counter(self.trained.read_text("utf-8").split() if self.trained.exists() else ())


def sweep_at_once():
    """Files that several processes write have no lock, so they are swept after an hour; here at once."""
    from bench.results import store

    store.ABANDONED = 0.01
    time.sleep(0.02)


def outcome(results):
    """Cell → all that must be the same however often it was interrupted: numbers, curves, arrays and pictures."""
    found = {}
    for path in results.glob("small/*/record.json"):
        record = json.loads(path.read_bytes())
        metrics = {name: entry | {"seconds": 0} for name, entry in record["metrics"].items()}
        kept = {name: record["training"].get(name) for name in ("train_id", "epochs", "steps", "fingerprint")}
        found[record["id"]] = {
            "record": [record["status"], record["cell"], metrics, kept],
            "curves": untimed(path.with_name("history.csv")),
            "arrays": {(p.name, n): a.tobytes() for p in path.parent.glob("*.npz") for n, a in np.load(p).items()},
            "pictures": {p.name: p.read_bytes() for p in path.parent.iterdir() if p.suffix in (".png", ".gif")},
        }
    return found


def untimed(history):
    """Rows of a history.csv without their seconds, which stand in the second column."""
    if not history.exists():
        return []
    rows = [line.split(",") for line in history.read_text("utf-8").splitlines()]
    assert rows[0][1] == "seconds"
    return [row[:1] + row[2:] for row in rows]


def leftovers(results):
    """Files that a process made for itself alone: temporary files, locks, heartbeats, states of trainings."""
    return [p for p in results.rglob("*") if p.is_file() and (p.name[0] == "." or p.name == "training.safetensors")]


# -- kills


def moment(results, settled):
    """In words: where a process was killed that had recorded no further cell. settled: the cells with a record."""
    for lock in results.glob("small/*/.heartbeat"):
        if lock.parent.name in settled:
            return "after a record, before its lock is gone"
        names = {p.name for p in lock.parent.iterdir()}
        if "checkpoint.safetensors" in names:
            return "in an evaluation"
        return f"in a training, {'with' if 'training.safetensors' in names else 'without'} a state on disk"
    return "between cells" if settled else "before the first cell"


def kills(folder, n, suite=SUITE, seconds=SECONDS):
    """Kill n processes at random moments. Returns how many were killed where."""
    rng, counts, runs = random.Random(0), Counter(), Runs(folder, suite)  # noqa: S311
    while counts.total() < n:
        before, process = runs.records(), runs.start()
        process.wait(rng.uniform(0, seconds))
        code = process.send(9)
        process.said()
        assert code in (0, -9)
        assert before.items() <= runs.records().items(), "a record was lost or written anew"
        if code == -9:
            counts[moment(runs.results, {p.parent.name for p in runs.records()})] += 1
        if runs.complete():
            finish_and_forget(runs)
    finish_and_forget(runs)
    return counts


def finish_and_forget(runs):
    runs.finish()
    assert set(runs.times_trained().values()) <= {1}, runs.times_trained()
    runs.new()


def soak_kills(folder, n=200):
    """SIGKILL of a running `bench run` at random moments, over and over until its suite is complete."""
    counts = kills(folder, n)
    assert n < 100 or len(counts) >= 5, f"too few kinds of moments: {counts}"
    return counts


# -- several runners


def race(runs, runners, killed, rng, seconds=SECONDS):
    """Let several processes run the suite at once, and kill some of them, each of which is replaced by another."""
    live = [runs.start() for _ in range(runners)]
    ended = []
    while killed:
        time.sleep(rng.uniform(0, seconds / 2))
        victim = live.pop(rng.randrange(len(live)))
        killed -= victim.send(9) == -9
        victim.said()
        live.append(runs.start())
        if runs.complete():
            break
    for process in live:
        ended.append(process.wait())
        process.said()
    assert set(ended) <= {0, 3}, ended
    runs.finish()
    times = runs.times_trained()
    assert set(times.values()) == {1}, times
    assert killed or set(times) == set(runs.expected)
    runs.new()


def runners(folder, plan, suite=SUITE, seconds=SECONDS):
    """plan: (number of runners, number that are killed) of each race. Returns the counts of both."""
    rng, counts, runs = random.Random(1), Counter(), Runs(folder, suite)  # noqa: S311
    for number, killed in plan:
        race(runs, number, killed, rng, seconds)
        counts[f"{number} runners{', some killed' if killed else ''}"] += 1
    return counts


def soak_runners(folder, n=40):
    """2 and 4 runners at once on one results folder; in every other race three of them are killed."""
    return runners(folder, [((2, 4)[i % 2], 3 * (i // 2 % 2)) for i in range(n)])
