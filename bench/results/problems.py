"""What is wrong with a results folder, named once a command on the logger `bench.results`."""

import logging

MOST = 5  #: problems of one kind that are named one by one; `bench status` lists all

log = logging.getLogger("bench.results")
_named: set[str] = set()


def warn(problems: list[str]) -> None:
    """Name each problem that was not named before; of many, the first and their number."""
    new = [problem for problem in dict.fromkeys(problems) if problem not in _named]
    _named.update(new)
    for problem in new[:MOST]:
        log.warning("%s", problem)
    if len(new) > MOST:
        log.warning("and %d more of this kind; `bench status` lists them", len(new) - MOST)


def forget() -> None:
    """Begin a command: what was named before is named again."""
    _named.clear()
