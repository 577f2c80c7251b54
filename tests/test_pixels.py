"""Images gathered from memory: to the bit what PyTorch's indexing and division give."""

import pytest
import torch

from bench.datasets import Split
from bench.kernels import pixels
from bench.stepper import images_at, to_float

pytestmark = pytest.mark.usefixtures("one_thread")


def images(n, *shape):
    stream = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (n, *shape), generator=stream, dtype=torch.uint8)


def test_every_pixel_value_is_what_division_gives():
    levels = torch.arange(256, dtype=torch.uint8).expand(3, 256).contiguous()
    assert torch.equal(pixels.gathered(levels, torch.tensor([2, 0])), to_float(levels[:2]))


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 7, 5), (1, 8, 8), (1, 2, 2), (1,)], ids=str)
def test_images_of_any_size_are_those_of_the_numbers(shape):
    given, index = images(50, *shape), torch.tensor([49, 0, 7, 7, 31])
    found = pixels.gathered(given, index)
    assert torch.equal(found, to_float(given[index]))
    assert found.is_contiguous()


def test_numbers_need_not_lie_side_by_side():
    given, index = images(50, 1, 8, 8), torch.arange(20)[::2]
    assert torch.equal(pixels.gathered(given, index), to_float(given[index]))


def test_none_of_no_images():
    assert pixels.gathered(images(5, 1, 8, 8), torch.tensor([], dtype=torch.int64)).shape == (0, 1, 8, 8)


@pytest.mark.parametrize("number", [-1, 5])
def test_a_number_that_no_image_has_is_refused(number):
    with pytest.raises(IndexError):
        pixels.gathered(images(5, 1, 8, 8), torch.tensor([0, number]))


@pytest.mark.parametrize("answer", ["vectors", "torch"])
def test_a_batch_is_the_same_by_whichever_way(answer, monkeypatch):
    asked = []
    monkeypatch.setattr("bench.stepper.chosen", lambda: asked.append(1) or {"pixels": answer})
    given, index = images(50, 1, 8, 8), torch.tensor([[3, 1], [40, 3]])
    assert torch.equal(images_at(Split(given, None), index), to_float(given[index]))
    assert asked


def test_images_that_lie_otherwise_are_left_to_pytorch():
    given = images(50, 2, 8, 8)
    assert pixels.fits(given)
    assert not pixels.fits(given[::2])
    assert not pixels.fits(given.transpose(2, 3))
    assert not pixels.fits(given.float())
