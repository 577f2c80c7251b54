"""Tasks on a Dask scheduler: which workers are refused, and what a lost scheduler ends with."""

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client, Worker
from test_plugins import SUITE, write

from bench import registry
from bench.errors import RunInterrupted, UsageError
from bench.results.store import Store
from bench.runs import cluster
from bench.runs.runner import run
from bench.runs.task import Settings
from bench.suite import load

SCHEDULER = """\
import asyncio
from distributed import Scheduler

async def serve():
    async with Scheduler(host="127.0.0.1", port=0, dashboard_address="127.0.0.1:0") as scheduler:
        print(scheduler.address, flush=True)
        await scheduler.finished()

asyncio.run(serve())
"""
WORKER = """\
import asyncio
import sys
from distributed import Worker

async def work():
    async with Worker(sys.argv[1], nthreads=1, dashboard=False) as worker:
        await worker.finished()

asyncio.run(work())
"""
pytestmark = pytest.mark.filterwarnings("ignore")  # what distributed says of lost connections


@pytest.fixture
def scheduler():
    """A scheduler's process and address, without workers."""
    process = subprocess.Popen([sys.executable, "-c", SCHEDULER], stdout=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip()
    process.kill()
    process.communicate()


@contextmanager
def worker(address, after=0.0):
    """A worker in a thread of this process, which joins after some seconds."""
    loop, leave = asyncio.new_event_loop(), asyncio.Event()

    async def work():
        await asyncio.sleep(after)
        async with Worker(address, nthreads=1, dashboard=False):
            await leave.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(work()), daemon=True)
    thread.start()
    yield
    loop.call_soon_threadsafe(leave.set)
    thread.join(10)


def sleep(*anything):
    time.sleep(3)


def test_a_worker_that_sees_another_folder_or_runs_other_versions_is_refused(tmp_path):
    seen = cluster.Marker(tmp_path, cluster.versions())
    assert cluster.refusal(seen) is None
    elsewhere = replace(seen, file=tmp_path / "results" / ".run-1")
    assert cluster.refusal(elsewhere) == f"does not see the results folder {tmp_path / 'results'} of this run"
    assert cluster.refusal(replace(seen, versions=seen.versions | {"bench": "0.0"})).endswith("instead of 0.0")


def test_every_worker_of_a_scheduler_is_checked_before_any_work(scheduler, tmp_path, monkeypatch):
    _, address = scheduler
    settings, events = Settings(tmp_path / "results", tmp_path), []
    monkeypatch.setattr(cluster, "PATIENCE", 0.1)
    with worker(address, after=1.0), cluster.remote(address, settings, events.append) as (client, marker):
        assert list(cluster._numbers(client).values()) == [0]
        with pytest.raises(UsageError, match=r"worker tcp://\S+ does not see the results folder"):
            cluster._check_workers(client, replace(marker, file=Path("/nowhere/.run")))
    assert "has no workers" in events[0].text
    assert list(settings.results.iterdir()) == []


def test_a_lost_scheduler_ends_the_run_with_exit_code_3(scheduler, tmp_path, monkeypatch):
    process, address = scheduler
    settings = Settings(tmp_path / "results", tmp_path)
    monkeypatch.setattr(cluster, "_work", sleep)
    with worker(address), cluster.remote(address, settings, lambda event: None) as (client, marker):
        threading.Timer(0.5, process.kill).start()
        with pytest.raises(RunInterrupted, match="run the same command") as ended:
            list(cluster.run_on(client, ["one", "two"], settings, lambda event: None, marker))
    assert ended.value.exit_code == 3
    assert list(settings.results.iterdir()) == []


def test_no_scheduler_is_one_message(tmp_path):
    missing = cluster.remote("nonsense://x", Settings(tmp_path, tmp_path), print)
    with pytest.raises(UsageError, match="no Dask scheduler answers there"):
        missing.__enter__()


@pytest.fixture
def workers(scheduler, tmp_path):
    """Two worker processes in a folder of their own."""
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, "-c", WORKER, scheduler[1]]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes = [subprocess.Popen(command, cwd=tmp_path / "elsewhere", **quiet) for _ in range(2)]
    with Client(scheduler[1]) as client:
        client.wait_for_workers(2)
    yield processes
    for process in processes:
        process.kill()
        process.communicate()


def test_plugins_travel_with_their_tasks_to_workers_without_a_copy(scheduler, workers, tmp_path, monkeypatch):
    """The folder of the plugins is gone when the tasks are sent, and the workers stand in another one."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine")
    (tmp_path / "own.yaml").write_text(SUITE.replace("seeds: 2", "seeds: 1"))
    suite, used = load("own.yaml"), set()
    shutil.rmtree(tmp_path / "mine")
    settings = Settings(tmp_path / "results", tmp_path / "data", "cpu")
    try:
        summary = run(suite, settings, scheduler=scheduler[1], on_event=lambda event: used.add(event.worker))
    finally:
        registry.reset()
    assert summary.states == {"done": 2}
    assert len(used - {""}) == 2
    sha256 = {f"{file.kind}/{file.name}": file.sha256 for file in suite.plugins}
    for record in Store(settings.results).records("own"):
        assert record.cell["plugins"].items() <= sha256.items()
        assert record.metrics["worst_pixel"]["sha256"] == sha256["metrics/worst_pixel"]
    assert list((tmp_path / "elsewhere").rglob("*.py")) == []
