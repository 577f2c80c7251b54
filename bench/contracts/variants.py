"""The contract of a variant, checked on 8×8 images with a small MLP."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor

from bench.datasets import Data, Split
from bench.datasets._splits import to_float
from bench.errors import NotApplicable, UsageError
from bench.models.seeding import initialising
from bench.suite import Choice, Train
from bench.training import checkpoint
from bench.training.noise import leaves, mapped, stacked
from bench.training.stack import may_be_stacked, stack_of
from bench.training.trainer import fit

from .common import Broken, Check, Subject, images, require

SHAPE, LATENT = (1, 8, 8), 4
EPOCHS = (50, 100, 200, 400)  #: budgets in which eight images may be learned, tried one after the other
SHARP = Choice("gaussian", {"sigma": 0.1})  #: under which reconstructing counts more than any other term


def make(subject: Subject, latent_size: int = LATENT, likelihood: Choice | None = None, width: int = 16) -> Any:
    """A model with parameters drawn under seed 0."""
    constants = subject.component.constants
    net = Choice("mlp", {"hidden": (width,), "activation": "relu"}) if constants["uses_net"] else None
    chosen = likelihood or Choice(constants["default_likelihood"], {})
    variant = Choice(subject.component.name, subject.options, subject.component.sha256)
    with initialising(0):
        return checkpoint.build(SHAPE, variant, net, chosen, latent_size, 2)


def trained_by_gradient(subject: Subject) -> None:
    """Raise `NotApplicable` for a method in closed form."""
    if subject.component.constants["closed_form"]:
        raise NotApplicable("a method in closed form has no loss")


def terms_of(model: Any) -> dict[str, Tensor]:
    x, y = images(SHAPE)
    return model(x, y, model.draw(x, torch.Generator().manual_seed(0)))


def terms_are_scalars(subject: Subject) -> None:
    """`forward` returns a mapping of scalar tensors, and "loss" is one of them."""
    trained_by_gradient(subject)
    terms = terms_of(make(subject))
    require(isinstance(terms, dict) and "loss" in terms, f"it returns {_named(terms)}", "forward")
    for name, value in terms.items():
        require(isinstance(value, Tensor) and value.shape == (), f"the term {name!r} is {_named(value)}", "forward")


def loss_is_finite(subject: Subject) -> None:
    """The loss of a new model is finite."""
    trained_by_gradient(subject)
    loss = terms_of(make(subject))["loss"].item()
    require(abs(loss) < float("inf"), f"the loss is {loss}", "forward")


def noise_comes_from_draw(subject: Subject) -> None:
    """The same noise gives the same loss to the last bit: all randomness is drawn in `draw`, from its generator."""
    trained_by_gradient(subject)
    model = make(subject)
    losses, noises = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)  # what a forward that draws by itself would use
        x, y = images(SHAPE)
        noises.append(model.draw(x, torch.Generator().manual_seed(0)))
        losses.append(model(x, y, noises[-1])["loss"].item())
    same = all(torch.equal(a, b) for a, b in zip(*map(leaves, noises), strict=True))
    require(same, "`draw` gives other noise for the same generator", "draw")
    require(losses[0] == losses[1], f"two calls with the same noise give {losses[0]!r} and {losses[1]!r}", "forward")


def noise_has_an_axis_of_images(subject: Subject) -> None:
    """`draw` returns a tensor, a tuple of tensors or (), each with the images as first axis, and reads no pixel."""
    trained_by_gradient(subject)
    model, (x, _) = make(subject), images(SHAPE)
    noises = [list(leaves(model.draw(like, torch.Generator().manual_seed(0)))) for like in (x, torch.zeros_like(x))]
    for noise in noises[0]:
        require(noise.shape[:1] == (len(x),), f"for {len(x)} images its shape is {tuple(noise.shape)}", "draw")
    same = all(torch.equal(a, b) for a, b in zip(*noises, strict=True))
    require(same, "other pixels give other noise", "draw")


def parameters_have_gradients(subject: Subject) -> None:
    """Every parameter gets a finite gradient of the loss."""
    trained_by_gradient(subject)
    model = make(subject)
    terms_of(model)["loss"].backward()
    for name, parameter in model.named_parameters():
        require(parameter.grad is not None, f"{name} gets none", "forward")
        require(parameter.grad.isfinite().all(), f"that of {name} is not finite", "forward")


def codes_and_images_have_their_shapes(subject: Subject) -> None:
    """`encode` gives codes (B, D), and `generate` images (B, C, H, W) from them."""
    if not subject.component.constants["has_code"]:
        raise NotApplicable("the method has no code")
    model, (x, y) = _fitted(subject), images(SHAPE)
    with torch.no_grad():
        codes = model.encode(x, y)
        made = model.generate(codes, y)
    require(codes.shape == (len(x), LATENT), f"codes of {len(x)} images for D = {LATENT} are {tuple(codes.shape)}",
            "encode")  # fmt: skip
    require(made.shape == x.shape, f"images are {tuple(made.shape)} instead of {tuple(x.shape)}", "generate")
    if subject.component.constants["has_posterior"]:
        with suppress(NotApplicable):  # raised for a posterior that is not Gaussian
            for name, part in zip(("mean", "log_var"), model.posterior(x, y), strict=True):
                require(part.shape == codes.shape, f"{name} of the posterior is {tuple(part.shape)}", "posterior")


def stacked_is_alone(subject: Subject) -> None:
    """Three models stacked with `vmap` give the terms and gradients that each gives alone (float64)."""
    trained_by_gradient(subject)
    if not may_be_stacked(make(subject)):
        raise NotApplicable("the class says stackable = False, or has after_step: it is trained alone")
    x, y = images(SHAPE)
    with _double_precision():
        models = [_perturbed(make(subject).double(), seed) for seed in range(3)]
        noises = [mapped(Tensor.double, model.draw(x, torch.Generator().manual_seed(s)))
                  for s, model in enumerate(models)]  # fmt: skip
        alone = [model(x.double(), y, noise) for model, noise in zip(models, noises, strict=True)]
        torch.stack([terms["loss"] for terms in alone]).sum().backward()
        expected = [{name: p.grad.clone() for name, p in model.named_parameters()} for model in models]
        stack = stack_of(models, half=False)
        noise = stacked(noises)
        terms = stack.terms(x.double().expand(3, *x.shape), y.expand(3, *y.shape), noise)
        terms["loss"].sum().backward()
        for name, values in terms.items():
            close = torch.allclose(values, torch.stack([found[name] for found in alone]), rtol=1e-9, atol=1e-9)
            require(close, f"the term {name!r} differs", "forward")
        for name, parameter in stack.tensors().items():
            if parameter.grad is not None:
                same = torch.stack([found[name] for found in expected])
                require(torch.allclose(parameter.grad, same, rtol=1e-7, atol=1e-9), f"the gradient of {name} differs",
                        "forward")  # fmt: skip


def eight_images_are_learned(subject: Subject) -> None:
    """Eight images are learned by heart: their reconstructions are far better than the mean image."""
    if not subject.component.constants["has_code"]:
        raise NotApplicable("the method has no code")
    data = _eight()
    x, y = to_float(data.train.images), data.train.labels
    mean, error = (x.mean(0) - x).square().mean().item(), float("inf")
    for model in _trained_ever_longer(subject, data):
        with torch.no_grad():
            error = (model.generate(model.encode(x, y), y) - x).square().mean().item()
        if error < mean / 2:
            return
    raise Broken(f"their MSE is {error:.3g}, that of the mean image {mean:.3g}", "forward")


def _trained_ever_longer(subject: Subject, data: Data) -> Iterator[Any]:
    """A model for each of `EPOCHS`; the only one of a closed form."""
    if subject.component.constants["closed_form"]:
        yield _fitted(subject, 8, data)
        return
    for epochs in EPOCHS:
        [fitted] = fit(lambda: _sharp(subject), data, Train(epochs=epochs, batch_size=8, lr=3e-3), [0])
        require(fitted.diverged_at is None, f"the loss was not finite at step {fitted.diverged_at}", "forward")
        yield fitted.model


def _sharp(subject: Subject) -> Any:
    """A model under `SHARP`, or under its own likelihood where the method refuses another."""
    try:
        return make(subject, 8, SHARP, 64)
    except UsageError:
        return make(subject, 8, width=64)


def _eight() -> Data:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (8, *SHAPE), generator=generator, dtype=torch.uint8)
    split = Split(pixels, torch.arange(8) % 2)
    return Data("random", split, split, ("a", "b"), "random")


def _fitted(subject: Subject, latent_size: int = LATENT, data: Data | None = None) -> Any:
    """A new model; one in closed form is fitted, as it has no parameters before."""
    if not subject.component.constants["closed_form"]:
        return make(subject, latent_size)
    [fitted] = fit(lambda: make(subject, latent_size), data or _eight(), Train(), [0])
    return fitted.model


@contextmanager
def _double_precision() -> Iterator[None]:
    """`Tensor.float`, by which nets put out float32, keeps float64 in this block."""
    before = torch.Tensor.float
    torch.Tensor.float = torch.Tensor.double  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.Tensor.float = before  # type: ignore[method-assign]


def _perturbed(model: Any, seed: int) -> Any:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator).to(parameter)
    return model


def _named(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"a mapping of {', '.join(map(repr, value))}" if isinstance(value, dict) else f"a {type(value).__name__}"


CHECKS: tuple[Check, ...] = (
    terms_are_scalars, loss_is_finite, noise_has_an_axis_of_images, noise_comes_from_draw, parameters_have_gradients,
    codes_and_images_have_their_shapes, stacked_is_alone, eight_images_are_learned,
)  # fmt: skip
