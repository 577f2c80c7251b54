"""What each file of a cell's pictures shows, in words: the names are those of bench/evaluation/image_grids.py."""

import re
from dataclasses import dataclass

CORRUPTIONS = {
    "dropout_25": "a quarter of the pixels lost", "dropout_50": "half of the pixels lost",
    "square_40": "a square lost", "training": "damaged as in training",
}  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """A kind of picture. section: the part of a gallery it stands in, "" for none; order: where on a cell's page."""

    section: str
    title: str  #: tells it from the others of its section
    says: str  #: what is seen
    order: int
    moving: bool = False


def kind(name: str) -> Kind:
    """What a picture of this name shows; a name that nobody knows speaks for itself.

    >>> kind("samples_gmm").says
    'Samples, codes from gmm'
    >>> kind("restored_square_40").title
    'a square lost'
    """
    if found := _KINDS.get(name):
        return found
    if match := re.fullmatch(r"(restored|samples|by_label)_(\w+)", name):
        return _of_many(match[1], match[2])
    return Kind("", name.replace("_", " "), name.replace("_", " "), 99)


def _of_many(what: str, which: str) -> Kind:
    if what == "restored":
        words = CORRUPTIONS.get(which, which.replace("_", " "))
        return Kind("restored", words, f"Test images above, {words} in the middle, restored below", 1)
    if what == "samples":
        return Kind("samples", which, f"Samples, codes from {which}", 2)
    return Kind("by-label", f"codes from {which}", f"Samples by label, a row a class, codes from {which}", 3)


_KINDS = {
    "reconstructions": Kind(
        "reconstructions", "reconstructions", "Test images above, their reconstructions below", 0
    ),
    "manifold": Kind(
        "manifolds", "manifold", "Images decoded from a grid over the plane of the codes", 4
    ),
    "interpolations": Kind(
        "interpolations", "strips", "From one test image to another, real at both ends, decoded between", 5
    ),
    "interpolations_moving": Kind(
        "interpolations", "moving", "The decoded images of the interpolations, moving there and back", 6, True
    ),
    "identity": Kind(
        "identity", "the whole matrix", "The model as one matrix: red is positive, blue negative, white 0", 7
    ),
    "identity_clipped": Kind(
        "identity", "positive entries alone", "The model as one matrix, negative entries as 0, bright is large", 8
    ),
}  # fmt: skip
