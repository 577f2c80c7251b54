"""Processes that do the same at the same moment: they wait for each other, and nobody waits for one that is no more."""

import os
import time
from contextlib import closing
from functools import partial

import pytest

from bench import crew
from bench.errors import RunFailed, UsageError

LIMIT = 60.0  #: seconds, of tests in which nobody is silent


class Side:
    """What can be asked of a process of these tests."""

    def __init__(self, number, meet, name="", late=0):
        time.sleep(late)
        self.number, self.meet, self.name = number, meet, name

    def called(self, how):
        return f"{how} {self.name} {self.number}"

    def met(self, seconds):
        """When it came, and when it went on; each comes later than the one before."""
        time.sleep(seconds * self.number)
        came = time.monotonic()
        for _ in range(2):
            self.meet()
        return came, time.monotonic()

    def die(self, number):
        if self.number == number:
            os._exit(1)
        self.meet()

    def fail(self, error):
        raise error

    def sleep(self, seconds):
        time.sleep(seconds)


@pytest.fixture
def make(monkeypatch):
    monkeypatch.setattr(crew, "PATIENCE", 0.5)
    return lambda limit=LIMIT, **how: closing(crew.Crew(partial(Side, **how), (), 1, limit))


def test_processes_are_added_to_and_asked_alone_or_together(make):
    with make(name="side") as side:
        side.start(1)
        assert side.ask("called", "first") == ["first side 0"]
        side.start(2)
        assert side.ask("called", "both") == ["both side 0", "both side 1"]
        assert side.ask("called", "one", count=1) == ["one side 0"]
        processes = side.processes
        assert all(process.is_alive() for process in processes)
        side.close()
        assert not any(process.is_alive() for process in processes)
        side.start(1)  # and again
        assert side.ask("called", "new") == ["new side 0"]
    assert side.processes == []


def test_at_a_meeting_whoever_comes_first_waits_for_the_last(make):
    with make() as side:
        side.start(2)
        times = side.ask("met", 0.3)
    assert max(came for came, _ in times) <= min(left for _, left in times)


def test_one_that_dies_ends_the_waiting_of_the_others(make):
    with make() as side:
        side.start(2)
        with pytest.raises(RunFailed, match="died"):
            side.ask("die", 1)
        left = side.processes
    assert not any(process.is_alive() for process in left)


def test_what_one_meets_reaches_the_one_who_asked(make):
    for error, told in ((UsageError("no such net"), UsageError), (ValueError("odd"), RunFailed)):
        with make() as side:
            side.start(1)
            with pytest.raises(told, match=str(error)):
                side.ask("fail", error)


def test_silence_is_an_error_and_the_silent_are_ended(make):
    with make(limit=8.0) as side:
        side.start(1)
        side.limit, begin = 0.2, time.monotonic()
        with pytest.raises(RunFailed, match=r"silent for 0\.2 s"):
            side.ask("sleep", 600)
        left = side.processes
    assert time.monotonic() - begin < 60
    assert not any(process.is_alive() for process in left)


def test_a_start_that_takes_too_long_is_an_error_as_well(make):
    with make(limit=0.2, late=600) as side, pytest.raises(RunFailed, match="silent"):
        side.start(1)


def test_threads_are_told_to_a_process_and_forgotten_again(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with crew.thread_variables(3):
        assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in os.environ
