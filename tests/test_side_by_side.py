"""As many groups train side by side on a GPU as was measured to pay: once, and never at the cost of a run.

There is no GPU here: processes are measured on the CPU by the same code, and what a run makes of it with GPUs that are
only said to be there.
"""

import json
import os
import re
import time
from contextlib import closing
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch
from conftest import ROOT, cell, run_bench

from bench import crew, executor, grouping, needs, runner, side_by_side, train
from bench.crew import Crew
from bench.errors import RunFailed
from bench.grouping import Answer, enough
from bench.side_by_side import Side, groups_on_a_gpu
from bench.store import Store
from bench.suite import Train, load
from bench.task import Settings

GPUS = [torch.device("cuda", 0), torch.device("cuda", 1)]
SMALL = cell("vae", train=Train(epochs=1, batch_size=8))
LIMIT = 120.0


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """Where answers are kept; the kernels' answers stay where they are."""
    path = tmp_path / "groups.json"
    monkeypatch.setattr(grouping, "_path", lambda: path)
    monkeypatch.setattr(grouping, "device_name", lambda device: ("GPU X", "9.9"))
    return path


# -- the rule


@pytest.mark.parametrize(
    ("rates", "count"),
    [
        ({1: 100.0, 2: 180.0, 4: 350.0}, 4),
        ({1: 100.0, 2: 180.0, 4: 190.0}, 2),
        ({1: 100.0, 2: 109.0, 4: 105.0}, 1),
        ({1: 100.0, 2: 108.0, 4: 120.0}, 4),
        ({1: 100.0, 2: 100.0, 4: 100.0}, 1),
        ({1: 100.0, 2: 110.0}, 1),
        ({1: 100.0, 2: 0.0, 4: 0.0}, 1),
        ({1: 0.0, 2: 50.0}, 1),
        ({2: 50.0}, 1),
        ({}, 1),
    ],
    ids=str,
)
def test_more_groups_must_be_faster_by_a_tenth(rates, count):
    assert enough(rates) == count


# -- measuring, in processes on the CPU


@pytest.fixture
def short(monkeypatch):
    monkeypatch.setattr(side_by_side, "SECONDS", 0.05)
    monkeypatch.setattr(side_by_side, "WORTH_IT", 0)
    monkeypatch.setattr(crew, "PATIENCE", 2.0)


def test_processes_train_side_by_side_and_say_how_fast(short, monkeypatch):
    told, cpu = [], torch.device("cpu")
    found = groups_on_a_gpu([[SMALL], [SMALL]], [cpu], 2, 1, told.append)
    assert all(line.startswith("measuring") for line in told)
    [answer] = grouping.known()
    assert set(map(int, answer.rates)) == set(grouping.SIZES)
    rates = answer.rates_beside(1)
    assert set(rates) == {1, 2}
    assert min(rates.values()) > 0
    assert found == enough(rates)
    monkeypatch.setattr(crew.CONTEXT, "Process", None)  # no more of them
    assert groups_on_a_gpu([[SMALL], [SMALL]], [cpu], 2, 1) == found


class Doomed(Side):
    """The second process does not survive a measurement, or the third; the first is as fast as it says."""

    def __init__(self, number, meet, doomed, end):
        self.number, self.meet, self.doomed, self.end = number, meet, doomed, end

    def rate(self, of, stacked, seconds):
        self.meet()
        if self.number == self.doomed:
            os._exit(1) if self.end == "death" else time.sleep(600)
        return 100.0


@pytest.mark.parametrize(("end", "said"), [("death", "died"), ("silence", "silent for 2 s")])
def test_a_process_that_dies_or_hangs_leaves_the_smaller_number(short, end, said, monkeypatch):
    told = []
    monkeypatch.setattr(crew, "PATIENCE", 0.5)
    with closing(Crew(Doomed, (1, end), 1, LIMIT)) as side:
        side.start(2)
        processes = list(side.processes)
        side.limit = 2.0  # seconds; to start, which imports torch, takes longer
        assert side_by_side.measure(side, SMALL, 1, (1, 2, 4), told.append) == {1: 100.0, 2: 0.0, 4: 0.0}
        assert not any(process.is_alive() for process in processes)
    assert len(told) == 1
    assert re.fullmatch(f"2 groups side by side: .*{said}.*", told[0])


def test_a_start_that_takes_too_long_is_told_and_costs_no_run(short, monkeypatch):
    told = []
    monkeypatch.setattr(side_by_side, "LIMIT", 0.01)
    assert groups_on_a_gpu([[SMALL]], [torch.device("cpu")], 4, 1, told.append) == 1
    assert told[-1] == "groups side by side could not be measured: a worker process was silent for 0.01 s"
    assert grouping.known() == []


# -- one process's part


@pytest.fixture
def side(one_thread):
    """In this process; `meetings` counts them."""
    found = Side(0, lambda: found.meetings.append(time.perf_counter()), "cpu", 1)
    found.meetings = []
    return found


def test_a_process_meets_the_others_once_and_trains_until_the_time_is_over(side):
    begin = time.perf_counter()
    rate = side.rate(SMALL, 2, 0.2)
    [met] = side.meetings
    assert rate > 0
    assert met > begin
    assert time.perf_counter() - met >= 0.2


def test_a_rate_is_that_of_all_epochs_but_the_first(side, monkeypatch):
    clock = iter([10.0, 10.5, 11.0, 12.0])  # met, and the ends of three epochs
    monkeypatch.setattr(side_by_side.time, "perf_counter", lambda: next(clock))
    side.meet = lambda: None
    monkeypatch.setattr(side_by_side, "fit", lambda *a, on_epoch, **how: [on_epoch(n, [{}] * 4) for n in range(1, 99)])
    assert side.rate(SMALL, 4, 1.5) == 4 * 170 * 8 * 3 / 2


def test_a_group_that_does_not_fit_into_memory_has_no_rate(side, monkeypatch):
    whole = train._fit_group

    def fit_group(models, *rest):
        if len(models) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(models, *rest)

    monkeypatch.setattr(train, "_fit_group", fit_group)
    with pytest.raises(RunFailed, match="does not fit into memory"):
        side.rate(SMALL, 4, 0.01)
    assert side.rate(SMALL, 2, 0.01) > 0


def test_seeds_that_diverge_at_once_have_no_rate(side):
    with pytest.raises(RunFailed, match="diverged"):
        side.rate(replace(SMALL, train=Train(batch_size=8, lr=1e30)), 1, 60)


# -- what is known, and what a run makes of it


@pytest.fixture
def processes(monkeypatch):
    """A crew without processes: `rates` of a net and models stacked, by count; `asked` grows with each question."""
    state = SimpleNamespace(asked=[], rates={}, sizes={1: 10.0, 4: 50.0, 16: 40.0}, started=[])

    class Fake:
        def __init__(self, make, given, threads, limit):
            assert make is Side
            assert limit == side_by_side.LIMIT
            self.device = given[0]

        def start(self, count):
            state.started.append(count)

        def ask(self, what, of, stacked=None, seconds=None, count=None):
            state.asked.append((what, of.net.name, stacked, count))
            if what == "sizes":
                return [{size: state.sizes[size] for size in stacked}]
            found = state.rates.get((of.net.name, stacked), {1: 100.0, 2: 180.0, 4: 190.0})
            found = found.get(self.device, found)
            if found.get(count) is None:
                raise RunFailed("a worker failed:\nTraceback\nOutOfMemoryError: CUDA out of memory")
            return [found[count] / count] * count

        def close(self):
            state.started.append(0)

    monkeypatch.setattr(side_by_side, "Crew", Fake)
    monkeypatch.setattr(side_by_side, "WORTH_IT", 0)
    return state


def group(seeds, net="mlp", **changes):
    return [cell("vae", net, seed, **changes) for seed in range(seeds)]


def test_an_answer_is_measured_once_and_kept_with_the_size_of_groups(processes):
    told = []
    assert groups_on_a_gpu([group(6)] * 3, GPUS, 4, 1, told.append) == 2
    sizes = [("sizes", "mlp", (size,), 1) for size in (1, 4, 16)]
    assert processes.asked == [*sizes, *(("rate", "mlp", 4, count) for count in (1, 2, 4))]
    kind = "mlp (hidden=[32]) D≤2 on 1×8×8, batch 32, fp32"
    assert told == [
        f"measuring how many models of {kind} to stack on GPU X: once",
        f"measuring how many groups of 4 to train side by side, {kind} on GPU X: once",
    ]
    [answer] = grouping.known()
    assert answer.size == 4
    assert answer.rates_beside(4) == {1: 100.0, 2: 180.0, 4: 190.0}
    assert groups_on_a_gpu([group(6)] * 3, GPUS, 4, 1, told.append) == 2
    assert (len(processes.asked), len(told)) == (6, 2)


def test_a_file_of_before_is_read_and_only_what_it_lacks_is_measured(file, processes):
    kept = asdict(Answer("GPU X", "9.9", grouping.kind(cell("vae")), 16, {"16": 3.0}))
    del kept["beside"]
    file.write_text(json.dumps([kept]))
    assert groups_on_a_gpu([group(16)], GPUS, 2, 1) == 2
    assert processes.asked == [("rate", "mlp", 16, 1), ("rate", "mlp", 16, 2)]
    assert [(answer.size, answer.rates) for answer in grouping.known()] == [(16, {"16": 3.0})]


@pytest.mark.parametrize(
    "beside", [None, 3, {"16": 3}, {"16": {"2": "fast"}}, {"16": {"two": 2.0}}, {"all": {}}], ids=str
)
def test_damaged_rates_are_measured_again(beside, file, processes):
    groups_on_a_gpu([group(6)], GPUS, 4, 1)
    file.write_text(json.dumps([json.loads(file.read_text())[0] | {"beside": beside}]))
    assert grouping.known() == []
    assert groups_on_a_gpu([group(6)], GPUS, 4, 1) == 2
    assert len(processes.asked) == 12


def test_a_cache_that_cannot_be_written_is_no_error(processes, monkeypatch, tmp_path):
    (tmp_path / "a file").touch()
    monkeypatch.setattr(grouping, "_path", lambda: tmp_path / "a file" / "groups.json")
    assert groups_on_a_gpu([group(6)], GPUS, 4, 1) == 2


def test_only_numbers_are_tried_for_which_there_is_room_and_more_of_them_later(processes):
    assert groups_on_a_gpu([group(6)], GPUS, 1, 1) == 1
    assert processes.asked == []
    processes.rates["mlp", 4] = {1: 100.0, 2: 180.0, 4: 350.0}
    assert groups_on_a_gpu([group(6)], GPUS, 3, 1) == 2
    assert [count for what, _, _, count in processes.asked if what == "rate"] == [1, 2]
    assert groups_on_a_gpu([group(6)], GPUS, 8, 1) == 4
    assert groups_on_a_gpu([group(6)], GPUS, 3, 1) == 2
    assert [count for what, _, _, count in processes.asked if what == "rate"] == [1, 2, 1, 2, 4]


def test_groups_are_measured_of_the_size_they_have_in_the_run(processes):
    assert groups_on_a_gpu([group(1), group(3, latent_size=16)], GPUS, 2, 1) == 2
    assert [stacked for what, _, stacked, _ in processes.asked if what == "rate"] == [1, 1, 4, 4]


def test_where_nothing_is_stacked_one_group_has_the_gpu(processes):
    assert groups_on_a_gpu([[cell("pca", net=None)]] * 9, GPUS, 4, 1) == 1
    assert processes.asked == []


def test_a_number_that_failed_is_told_kept_and_not_tried_again(processes):
    told = []
    processes.rates["mlp", 4] = {1: 100.0, 2: 180.0}
    assert groups_on_a_gpu([group(6)], GPUS, 4, 1, told.append) == 2
    assert told[-1] == "4 groups side by side: OutOfMemoryError: CUDA out of memory"
    assert processes.started[-2:] == [0, 0]
    assert grouping.known()[0].rates_beside(4) == {1: 100.0, 2: 180.0, 4: 0.0}
    assert groups_on_a_gpu([group(6)], GPUS, 4, 1) == 2
    assert len(processes.asked) == 6


def test_where_not_even_one_can_be_measured_it_is_one_and_not_asked_again(processes):
    told = []
    processes.rates["mlp", 4] = {1: None}
    assert groups_on_a_gpu([group(6)], GPUS, 4, 1, told.append) == 1
    assert told[-1] == "1 group side by side: OutOfMemoryError: CUDA out of memory"
    asked = len(processes.asked)
    processes.rates.clear()
    assert groups_on_a_gpu([group(6)], GPUS, 4, 1) == 1
    assert len(processes.asked) == asked


def test_what_is_trained_sooner_than_measured_is_not_measured(processes, monkeypatch):
    """Sizes of groups take 21 models of 510 steps: of batches of 32, 342,720 images; digits have 1,797."""
    monkeypatch.setattr(side_by_side, "WORTH_IT", 4)
    assert groups_on_a_gpu([group(4)] * 10, GPUS, 4, 1) == 1
    assert processes.asked == []
    longer = Train(epochs=20, batch_size=32)
    assert groups_on_a_gpu([group(4, train=longer)] * 9, GPUS, 4, 1) == 1  # 1.3 of 1.4 million images
    assert groups_on_a_gpu([group(4, train=longer)] * 10, GPUS, 4, 1) == 2


def test_of_several_kinds_the_time_of_the_whole_run_decides(processes):
    """A net that fills a GPU is a hundred times slower: what little it loses is more than the other one gains."""
    processes.rates["mlp", 4] = {1: 100.0, 2: 200.0, 4: 400.0}
    processes.rates["conv", 4] = {1: 1.0, 2: 0.9, 4: 0.8}
    assert groups_on_a_gpu([group(4)] * 100, GPUS, 4, 1) == 4
    assert groups_on_a_gpu([group(4), group(4, "conv")], GPUS, 4, 1) == 1
    assert groups_on_a_gpu([group(4)] * 100 + [group(4, "conv")], GPUS, 4, 1) == 2
    longer = Train(epochs=200, batch_size=32)
    assert groups_on_a_gpu([group(4, train=longer), group(4, "conv")], GPUS, 4, 1) == 2
    fewer = Train(epochs=1, batch_size=32, train_images=36)
    assert groups_on_a_gpu([group(4), group(4, "conv", train=fewer)], GPUS, 4, 1) == 2


def test_a_number_that_one_kind_failed_with_is_none_for_the_run(processes):
    processes.rates["mlp", 4] = {1: 100.0, 2: 200.0, 4: 400.0}
    processes.rates["conv", 4] = {1: 50.0, 2: 50.0}
    assert groups_on_a_gpu([group(4)] * 9 + [group(4, "conv")], GPUS, 4, 1) == 2


def test_of_several_models_of_gpu_the_smallest_number_holds(processes, monkeypatch):
    monkeypatch.setattr(grouping, "device_name", lambda device: (f"GPU {device.index}", "9.9"))
    processes.rates["mlp", 4] = {"cuda:0": {1: 100.0, 2: 200.0, 4: 400.0}, "cuda:1": {1: 100.0, 2: 200.0, 4: 201.0}}
    assert groups_on_a_gpu([group(4)] * 9, GPUS, 4, 1) == 2
    assert {answer.device for answer in grouping.known()} == {"GPU 0", "GPU 1"}
    assert groups_on_a_gpu([group(4)] * 9, GPUS[:1], 4, 1) == 4


# -- what a plan tells


def test_a_plan_tells_what_was_measured(file, processes):
    groups_on_a_gpu([group(16), group(1)], GPUS, 4, 1)
    [entry] = grouping.told([cell("vae")])
    assert entry["side_by_side"] == {"4": 2, "1": 2}
    assert entry["rates_side_by_side"]["4"] == {"1": 100.0, "2": 180.0, "4": 190.0}
    words = "models stacked on a GPU: 4, {} at once (measured, GPU X)"
    assert grouping.words([entry]) == words.format("2 groups of 4 or 2 groups of 1")
    assert grouping.words([entry | {"side_by_side": {"4": 1}}]) == words.format("1 group of 4")


def test_the_command_tells_it_in_words_and_as_json(tmp_path):
    suite = ROOT / "suites" / "digits.yaml"
    kind = next(k for k in map(grouping.kind, load(suite).cells) if k is not None)
    rates = {"1": 100.0, "2": 150.0, "4": 155.0}
    (tmp_path / "bench").mkdir()
    answer = Answer("GPU X", "9.9", kind, 16, {"16": 1.0}, {"16": rates})
    (tmp_path / "bench" / "groups.json").write_text(json.dumps([asdict(answer)]))
    asked, where = ["plan", str(suite), "--results", str(tmp_path)], {"XDG_CACHE_HOME": str(tmp_path)}
    assert "16, 2 groups of 16 at once (measured, GPU X)" in run_bench(*asked, check=True, **where).stdout
    told = json.loads(run_bench(*asked, "--json", check=True, **where).stdout)["groups"]
    [entry] = [entry for entry in told if entry["size"] is not None]
    assert (entry["side_by_side"], entry["rates_side_by_side"]) == ({"16": 2}, {"16": rates})


# -- a run on GPUs that are not there


@pytest.fixture
def machine(monkeypatch, processes, tmp_path):
    """Two GPUs, 32 cores, plenty of memory; a function that runs a suite of so many groups and says on how many."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: SimpleNamespace(total_memory=80 * 10**9))
    monkeypatch.setattr(executor.os, "sched_getaffinity", lambda pid: range(32), raising=False)
    monkeypatch.setattr(needs, "available", lambda: 10**12)
    started = []

    def execute(tasks, settings, workers, scheduler):
        started.append(executor.default_workers(settings) if workers is None else workers)
        return iter(())

    monkeypatch.setattr(runner, "execute", execute)
    path = tmp_path / "s.yaml"
    path.write_text(
        "title: T\ngrid: {datasets: [digits], variants: [vae, pca], nets: [mlp], latent_sizes: [2, 3, 4, 5, 6, 7, 8],"
        " seeds: 2}\ntrain: {epochs: 1}\nmetrics: [mse]\n"
    )

    def workers(groups=7, device="auto", **how):
        told = []
        chosen = {c.id for c in load(path).cells if c.variant.name == "vae" and c.latent_size < 2 + groups}
        settings = Settings(tmp_path, tmp_path, device, offline=True)
        runner.run(load(path), settings, only=chosen, on_event=told.append, **how)
        return started[-1], [event.text for event in told if event.kind == "note"]

    return workers


def test_a_run_starts_as_many_workers_on_each_gpu_as_pay(machine, processes):
    count, notes = machine()
    assert count == 4
    assert any(note.startswith("measuring how many groups of 4 to train side by side") for note in notes)
    assert notes[-1] == "workers: 2 on a GPU, which was measured to be faster; --workers 2 starts one on each"
    asked = len(processes.asked)
    assert machine() == (4, [notes[-1]])  # known by now
    assert len(processes.asked) == asked


def test_a_run_of_one_named_gpu_puts_all_on_that(machine):
    assert machine(device="cuda:1")[0] == 2
    assert executor.gpus(Settings(ROOT, ROOT, "cuda:1")) == [GPUS[1]]
    assert executor.gpus(Settings(ROOT, ROOT, "cpu")) == []


def test_a_number_given_by_hand_is_taken_and_nothing_is_measured(machine, processes):
    assert machine(workers=3) == (3, [])
    assert machine(scheduler="tcp://nowhere")[1] == []
    assert processes.asked == []


def test_for_an_evaluation_alone_each_gpu_has_one_worker(machine, processes, tmp_path):
    settings = Settings(tmp_path, tmp_path, "cuda")
    tasks = [group(4)] * 9
    workers = [runner._workers(tasks, some, Store(tmp_path), settings, lambda event: None) for some in ([], tasks)]
    assert workers == [2, 4]
    assert [count for what, _, _, count in processes.asked if what == "rate"] == [1, 2, 4]


def test_there_are_never_more_workers_than_tasks(machine, processes):
    processes.rates["mlp", 4] = {1: 100.0, 2: 200.0, 4: 400.0}
    assert machine(groups=7)[0] == 7
    assert machine(groups=3)[0] == 3
    assert machine(groups=2) == (2, [])


def test_there_are_never_more_workers_than_cores(machine, processes, monkeypatch):
    processes.rates["mlp", 4] = {1: 100.0, 2: 200.0, 4: 400.0}
    for cores, workers in ((1, 2), (3, 2), (4, 4), (7, 4), (8, 7)):
        monkeypatch.setattr(executor.os, "sched_getaffinity", lambda pid, cores=cores: range(cores), raising=False)
        assert machine()[0] == workers
    assert executor.default_workers(Settings(ROOT, ROOT, "cuda", threads=4), on_a_gpu=4) == 2


def test_there_are_never_more_workers_than_fit_into_memory(machine, monkeypatch):
    settings = Settings(ROOT, ROOT, "cuda")
    found = [executor.default_workers(settings, need, 4) for need in (None, 10**9, 30 * 10**9, 10**11)]
    assert found == [8, 8, 4, 2]  # of the GPUs
    monkeypatch.setattr(needs, "available", lambda: 5 * 10**9)
    found = [executor.default_workers(settings, need, 4) for need in (10**9, 2 * 10**9, 10**10)]
    assert found == [4, 2, 2]  # of the host


def test_memory_bounds_what_is_measured(machine, processes, monkeypatch):
    monkeypatch.setattr(needs, "memory", lambda cells, records: SimpleNamespace(worker=60 * 10**9))
    assert machine() == (2, [])
    assert processes.asked == []


def test_without_gpus_nothing_is_measured(processes, tmp_path, monkeypatch):
    monkeypatch.setattr(executor.os, "sched_getaffinity", lambda pid: range(8), raising=False)
    monkeypatch.setattr(needs, "available", lambda: None)
    tasks = [group(4)] * 3
    assert runner._workers(tasks, tasks, Store(tmp_path), Settings(tmp_path, tmp_path, "cpu"), print) == 3
    assert processes.asked == []
