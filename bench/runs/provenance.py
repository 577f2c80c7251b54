"""Where a number comes from: code, versions, machine, data."""

import os
import platform
import resource
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from bench import __version__
from bench.datasets import Data

PACKAGES = ("torch", "torchvision", "timm", "torch-fidelity", "scikit-learn", "umap-learn", "numpy", "scipy")


def provenance(device: torch.device, threads: int, precision: str, data: Data) -> dict[str, Any]:
    """What a record says of its origin. Memory in MB (10⁶ bytes), the process's peak so far; time in UTC."""
    return {
        **_code(),
        "versions": _versions(),
        "device": _device_name(device),
        "threads": threads,
        "precision": precision,
        "fingerprint": data.fingerprint(),
        "order": data.order(),
        "peak_memory_mb": peak_memory_mb(device),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def _code() -> dict[str, Any]:
    """Commit of the checkout bench runs from, and whether its Python differs from it; None outside of one."""
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=normal", "--", "*.py")
    return {"bench": __version__, "git": commit, "dirty": None if changes is None else bool(changes)}


def _git(*arguments: str) -> str | None:
    root = Path(__file__).parent
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


@cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"{device.type}: {processor()}, {os.cpu_count()} cores"


def forget_peak_memory(device: torch.device) -> None:
    """Let the peak begin anew, for the cells that follow; where the system cannot, it stays that of the process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mb(device: torch.device) -> float:
    """The most memory this process has had since `forget_peak_memory`, host and GPU, in 10⁶ bytes."""
    host = _peak_of_host() / 1e6
    gpu = torch.cuda.max_memory_allocated(device) / 1e6 if device.type == "cuda" else 0.0
    return round(host + gpu, 1)


def _peak_of_host() -> int:
    """Bytes. Linux tells it of this process alone; `getrusage` begins with what the parent process had."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    unit = 1 if platform.system() == "Darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@cache
def processor() -> str:
    """The CPU's name, with its family and model where they are known: virtual machines call all of a maker's alike."""
    said = dict[str, str]()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, colon, value = line.partition(":")
            if colon:
                said.setdefault(key.strip(), value.strip())  # of the first core
    name = said.get("model name") or platform.processor() or platform.machine()
    numbers = {"family": said.get("cpu family"), "model": said.get("model")}
    which = ", ".join(f"{word} {number}" for word, number in numbers.items() if number)
    return f"{name} ({which})" if which else name
