"""The contract of a net, checked on small images with and without given labels."""

from typing import Any

import torch
from torch import nn

from bench.models.nets import Size
from bench.models.seeding import initialising

from .common import Check, Subject, images, require

SIZES = (8, 28, 32, 45)
LATENT, CLASSES = 8, 2


def sizes(subject: Subject) -> list[tuple[int, int, int]]:
    """Shapes (C, H, W) of images that the net says it takes."""
    low, high = (subject.component.constants[name] for name in ("min_size", "max_size"))
    fitting = [size for size in SIZES if low <= size <= high] or [low]
    return [(channels, size, size) for channels, size in zip((1, 3), (fitting[0], fitting[-1]), strict=True)]


def make(subject: Subject, shape: tuple[int, int, int], heads: int = 1, given: int = 0, seed: int = 0) -> Any:
    with initialising(seed):
        size = Size(shape, LATENT, heads, CLASSES if given else 0, given, given)
        return subject.kind(size, **subject.options)


def shapes_are_right(subject: Subject) -> None:
    """`encode` gives (B, heads · D) and `decode` (B, C, H, W), both float32."""
    for shape in sizes(subject):
        for heads in (1, 2):
            net, (x, _) = make(subject, shape, heads), images(shape, 2)
            out, back = net.encode(x), net.decode(torch.zeros(2, LATENT))
            got = f"for images {shape}, D = {LATENT} and {heads} heads"
            require(out.shape == (2, heads * LATENT), f"{got} encode gives {tuple(out.shape)}", "__init__")
            require(back.shape == x.shape, f"{got} decode gives {tuple(back.shape)}", "__init__")
            require(out.dtype == back.dtype == torch.float32, f"they are {out.dtype} and {back.dtype}", "__init__")


def given_labels_are_taken(subject: Subject) -> None:
    """With K given numbers, `encode` takes them beside the image and `decode` beside the code."""
    shape = sizes(subject)[0]
    net, (x, y) = make(subject, shape, given=CLASSES), images(shape)
    one_hot = torch.nn.functional.one_hot(y, CLASSES).float()
    out, back = net.encode(x, one_hot), net.decode(torch.zeros(len(x), LATENT), one_hot)
    require(out.shape == (len(x), LATENT), f"encode gives {tuple(out.shape)}", "__init__")
    require(back.shape == x.shape, f"decode gives {tuple(back.shape)}", "__init__")


def images_are_independent(subject: Subject) -> None:
    """An image's code does not depend on the other images of the batch, and no layer is a batch normalisation."""
    shape = sizes(subject)[0]
    net, (x, _) = make(subject, shape), images(shape)
    for name, module in net.named_modules():
        require(not isinstance(module, nn.modules.batchnorm._BatchNorm), f"{name} is a batch normalisation", "__init__")
    with torch.no_grad():
        together, alone = net.encode(x), torch.cat([net.encode(image[None]) for image in x])
    require(torch.allclose(together, alone, rtol=1e-3, atol=1e-4), "codes alone and in a batch differ", "__init__")


def parameters_have_gradients(subject: Subject) -> None:
    """Every parameter gets a gradient from an autoencoder's loss."""
    shape = sizes(subject)[0]
    net, (x, _) = make(subject, shape), images(shape)
    (net.decode(net.encode(x)) - x).square().mean().backward()
    for name, parameter in net.named_parameters():
        require(parameter.grad is not None, f"{name} gets none", "__init__")


def a_seed_gives_its_parameters(subject: Subject) -> None:
    """The same seed gives the same parameters, and each half does not depend on the other (`seeding.part`)."""
    shape = sizes(subject)[0]
    one, two = make(subject, shape), make(subject, shape)
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        require(torch.equal(a, b), f"{name} differs between two models of seed 0", "__init__")
    wide = make(subject, shape, heads=2)
    decoders = zip(one.decoder.parameters(), wide.decoder.parameters(), strict=True)
    same = all(a.shape == b.shape and torch.equal(a, b) for a, b in decoders)
    require(same, "the decoder's parameters depend on the encoder's heads: make each half under `part`", "__init__")


class _Autoencoder(nn.Module):
    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net.decode(self.net.encode(x))


def stacks(subject: Subject) -> None:
    """Models of this net stacked with `vmap` give what each gives alone."""
    shape = sizes(subject)[0]
    models, (x, _) = [_Autoencoder(make(subject, shape, seed=seed)) for seed in (0, 1)], images(shape)
    params, buffers = torch.func.stack_module_state(models)

    def one(p: Any, b: Any) -> torch.Tensor:
        return torch.func.functional_call(models[0], (p, b), (x,))

    with torch.no_grad():
        found = torch.func.vmap(one)(params, buffers)
        alone = torch.stack([model(x) for model in models])
    require(torch.allclose(found, alone, rtol=1e-3, atol=1e-4), "stacked and alone differ", "__init__")


CHECKS: tuple[Check, ...] = (
    shapes_are_right, given_labels_are_taken, images_are_independent, parameters_have_gradients,
    a_seed_gives_its_parameters, stacks,
)  # fmt: skip
