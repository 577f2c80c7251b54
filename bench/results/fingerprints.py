"""Which records were computed on the same images.

A record names the set of images and labels (`fingerprint`) and their order (`order`). Records of versions before 0.3
have one hash, of the images in their order. It equals the `order` of later records on the same files.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .store import Record

#: Order → set, of data that records of earlier versions were often computed on
KNOWN = {
    "ee77fcb61eff492c": "2ed780959f626973",  # digits
    "e0130f111822ed58": "5038806f1c37d4a4",  # mnist
    "65d3987b1c5ea2f4": "4ac0d7ce1b857fed",  # mnist, binarise: static
    "b996239a676f4a5d": "b340dd2bd3c83cea",  # mnist, binarise: threshold
    "68bbfc5b79429794": "2ee02711168de302",  # the JPEG copy of CIFAR-10 in results/
}


def with_sets(records: Iterable[Record]) -> list[Record]:
    """The same records with the fingerprint of the set in old ones, where it is in `KNOWN` or in another record."""
    records = list(records)
    sets = dict(KNOWN)
    for record in records:
        order, content = record.provenance.get("order"), record.provenance.get("fingerprint")
        if isinstance(order, str) and isinstance(content, str):
            sets[order] = content
    return [_with_set(record, sets) for record in records]


def _with_set(record: Record, sets: dict[str, str]) -> Record:
    about = record.about.get("dataset")
    about = record.about | {"dataset": _translated(about, sets)} if isinstance(about, dict) else record.about
    training, provenance = _translated(record.training, sets), _translated(record.provenance, sets)
    return replace(record, training=training, provenance=provenance, about=about)


def _translated(part: dict[str, Any], sets: dict[str, str]) -> dict[str, Any]:
    found = part.get("fingerprint")
    return part | {"fingerprint": sets[found]} if isinstance(found, str) and found in sets else part
