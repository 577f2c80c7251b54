"""Long runs of the fault tests: `make soak`. Each part returns how many cases it ran; a traceback ends it as a failure.

A part is a function `soak_NAME(folder, n)` in a file `tests/test_*.py` or `tests/soak_*.py`, with the default of `n` as
its number of cases. It works in `folder` and returns a `Counter`: how many cases of which kind it ran.

    python tests/soak.py             # all parts
    python tests/soak.py records 50  # one part, 50 cases
"""

import inspect
import sys
import tempfile
import time
import traceback
from collections import Counter
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent


def parts():
    """Name → function of every part."""
    names = sorted(
        p.stem
        for pattern in ("test_*.py", "soak_*.py")
        for p in HERE.glob(pattern)
        if "def soak_" in p.read_text("utf-8")
    )
    found = [
        function for name in names for function in vars(import_module(name)).values() if inspect.isfunction(function)
    ]
    return {f.__name__.removeprefix("soak_"): f for f in found if f.__name__.startswith("soak_")}


def main(wanted, n):
    """Run the parts and print a table of counts. Returns the number of parts that failed."""
    failed, total, begin = 0, Counter(), time.monotonic()
    print(f"{'part':<60} {'cases':>7} {'seconds':>8}  result", flush=True)
    for name, function in parts().items():
        if wanted and name != wanted:
            continue
        start, cases, result = time.monotonic(), Counter(), "sound"
        with tempfile.TemporaryDirectory() as folder:
            try:
                cases = function(Path(folder), **({"n": n} if n else {}))
            except Exception as error:
                traceback.print_exc()
                failed, result = failed + 1, f"{type(error).__name__}: {error}".splitlines()[0]
        line(name, cases.total(), time.monotonic() - start, result)
        for kind, count in cases.items():
            print(f"  {kind:<58} {count:>7}", flush=True)
        total[name] = cases.total()
    line("all", total.total(), time.monotonic() - begin, f"{failed} failed" if failed else "sound")
    return failed


def line(name, cases, seconds, result):
    print(f"{name:<60} {cases:>7} {seconds:>8.0f}  {result}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else None, int(sys.argv[2]) if len(sys.argv) > 2 else None))
