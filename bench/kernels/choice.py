"""Which kernels are the faster ones on this machine: measured once, kept in the user's cache folder."""

import json
import platform
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from . import adam, convolution, cross_entropy, dense, linear, pixels, sparse, strided, transposed
from .stamp import stamp
from ..cache import cache_folder
from ..store import write_bytes

WORTH = 1.02  #: how many times faster a kernel must be: what is hardly faster is not worth other bits

#: question → the answer where ours is faster, and how many times faster it is; the other answer is "torch"
QUESTIONS: dict[str, tuple[str, Callable[[], float]]] = {
    "linear": ("onednn", linear.measured_ratio),
    "transposed": ("phases", transposed.measured_ratio),
    "bf16_convolution": ("channels_last", convolution.measured_ratio),
    "linear_tiles": ("tiles", partial(dense.measured_ratio, torch.float32)),
    "bf16_linear_tiles": ("tiles", partial(dense.measured_ratio, torch.bfloat16)),
    "sparse_linear": ("lists", partial(sparse.measured_ratio, torch.float32)),
    "bf16_sparse_linear": ("lists", partial(sparse.measured_ratio, torch.bfloat16)),
    "strided": ("tiles", partial(strided.measured_ratio, torch.float32)),
    "bf16_adam": ("vectors", adam.measured_ratio),
    "adam_of_product": ("tiles", partial(adam.product_ratio, torch.float32)),
    "bf16_adam_of_product": ("tiles", partial(adam.product_ratio, torch.bfloat16)),
    "adam_of_thin_product": ("tiles", partial(adam.product_ratio, torch.float32, True)),
    "bf16_adam_of_thin_product": ("tiles", partial(adam.product_ratio, torch.bfloat16, True)),
    "adam_of_sparse_product": ("lists", partial(adam.sparse_ratio, torch.float32)),
    "bf16_adam_of_sparse_product": ("lists", partial(adam.sparse_ratio, torch.bfloat16)),
    "cross_entropy": ("vectors", cross_entropy.measured_ratio),
    "pixels": ("vectors", pixels.measured_ratio),
    "bf16_strided": ("tiles", partial(strided.measured_ratio, torch.bfloat16)),
}


@cache
def chosen() -> dict[str, str]:
    """Question → answer, for all `QUESTIONS`: from this machine's cache, the rest measured now."""
    path = _path()
    known = _known(path)
    answers = _answers(known)
    ratios, errors = dict(known.get("ratios", {})), dict(known.get("errors", {}))
    for question, (ours, measure) in QUESTIONS.items():
        if question in answers:
            continue
        ratios[question], reason = _measured(measure)
        if reason:
            errors[question] = reason
        answers[question] = ours if ratios[question] > WORTH else "torch"
    if any(known.get(question) != answer for question, answer in answers.items()):
        with suppress(OSError):  # a home that may not be written to: measured again by the next process
            path.parent.mkdir(parents=True, exist_ok=True)
            content = {"machine": _machine(), **answers, "ratios": ratios, "errors": errors}
            write_bytes(path, json.dumps(content, indent=1, sort_keys=True).encode())
    return answers


def _measured(measure: Callable[[], float]) -> tuple[float, str]:
    """The ratio and ""; or 0 and why there is none: whatever cannot be compiled here, PyTorch's own is there."""
    try:
        return round(measure(), 3), ""
    except Exception:
        return 0.0, traceback.format_exc()


def is_known() -> bool:
    """Whether `chosen` has nothing to measure, which takes half a minute."""
    return _answers(_known(_path())).keys() == QUESTIONS.keys()


def _path() -> Path:
    return cache_folder() / "kernels.json"


def _answers(known: dict[str, Any]) -> dict[str, str]:
    return {asked: known[asked] for asked, (ours, _) in QUESTIONS.items() if known.get(asked) in (ours, "torch")}


def _known(path: Path) -> dict[str, Any]:
    """What the cache says of this machine; {} where it says nothing."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(content, dict) and content.get("machine") == _machine():
            return content
    return {}


def _machine() -> str:
    """What an answer holds for: it is asked again on another processor, with another torch, of other kernels."""
    return f"{processor()}, torch {torch.__version__}, kernels {stamp()}"


@cache
def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The CPU's name, with its family and model where they are known: virtual machines call all of a maker's alike."""
    said = dict[str, str]()
    with suppress(OSError):
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, colon, value = line.partition(":")
            if colon:
                said.setdefault(key.strip(), value.strip())  # of the first core
    name = said.get("model name") or platform.processor() or platform.machine()
    numbers = {"family": said.get("cpu family"), "model": said.get("model")}
    which = ", ".join(f"{word} {number}" for word, number in numbers.items() if number)
    return f"{name} ({which})" if which else name
