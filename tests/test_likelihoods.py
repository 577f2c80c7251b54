"""Every formula against torch.distributions, in double precision."""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import distributions as td

from bench.evaluation.context import bounds
from bench.models.likelihoods import (
    Bernoulli,
    ContinuousBernoulli,
    DiscretisedLogistic,
    Gaussian,
    LearnedGaussian,
    gaussian_kl,
    gaussian_log_prob,
    reparametrise,
)
from bench.suite import Choice

torch.manual_seed(0)
SHAPE = (4, 3, 5, 5)
RAW = 3 * torch.randn(SHAPE, dtype=torch.float64)
X = torch.rand(SHAPE, dtype=torch.float64)
MEAN, LOG_VAR = torch.randn(6, 7, dtype=torch.float64), torch.randn(6, 7, dtype=torch.float64)


def total(log_prob):
    return -log_prob.flatten(1).sum(1)


def test_kl_to_the_standard_normal_is_that_of_torch():
    q = td.Normal(MEAN, (LOG_VAR / 2).exp())
    expected = td.kl_divergence(q, td.Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(gaussian_kl(MEAN, LOG_VAR), expected)


def test_kl_is_never_negative_and_zero_only_at_the_prior():
    assert (gaussian_kl(MEAN, LOG_VAR) > 0).all()
    assert gaussian_kl(torch.zeros(1, 3), torch.zeros(1, 3)).item() == 0


def test_gaussian_log_prob_is_that_of_torch():
    z = torch.randn(6, 7, dtype=torch.float64)
    expected = td.Normal(MEAN, (LOG_VAR / 2).exp()).log_prob(z).sum(-1)
    torch.testing.assert_close(gaussian_log_prob(z, MEAN, LOG_VAR), expected)


def test_reparametrised_draws_have_the_mean_and_variance_asked_for():
    eps = torch.randn(200_000, 1, dtype=torch.float64)
    z = reparametrise(torch.full_like(eps, 2.0), torch.full_like(eps, math.log(9.0)), eps)
    assert z.mean().item() == pytest.approx(2, abs=0.03)
    assert z.var().item() == pytest.approx(9, rel=0.02)


def test_bernoulli_nll_is_that_of_torch_on_binary_pixels():
    binary = (X > 0.5).double()
    expected = total(td.Bernoulli(logits=RAW).log_prob(binary))
    torch.testing.assert_close(Bernoulli().nll(RAW, binary), expected)


def test_bernoulli_nll_on_grey_pixels_is_the_cross_entropy():
    p = RAW.sigmoid()
    expected = -(X * p.log() + (1 - X) * (1 - p).log()).flatten(1).sum(1)
    torch.testing.assert_close(Bernoulli().nll(RAW, X), expected)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 2.5])
def test_gaussian_nll_is_that_of_torch_with_its_constant(sigma):
    expected = total(td.Normal(RAW.sigmoid(), sigma).log_prob(X))
    torch.testing.assert_close(Gaussian(sigma=sigma).nll(RAW, X), expected)


def test_unit_gaussian_nll_is_half_the_squared_error_and_a_constant():
    squared = (RAW.sigmoid() - X).square().flatten(1).sum(1)
    constant = 0.5 * math.log(2 * math.pi) * X[0].numel()
    torch.testing.assert_close(Gaussian().nll(RAW, X), squared / 2 + constant)


def test_learned_gaussian_is_the_gaussian_of_its_sigma():
    learned = LearnedGaussian().double()
    learned.raw_log_sigma.data.fill_(-0.13)
    sigma = learned.log_sigma().exp().item()
    torch.testing.assert_close(learned.nll(RAW, X), Gaussian(sigma=sigma).nll(RAW, X))


def test_learned_sigma_goes_to_the_root_mean_squared_error():
    """The optimum of Rybkin et al. 2021, eq. 6: σ² = MSE."""
    learned = LearnedGaussian().double()
    optimizer = torch.optim.Adam(learned.parameters(), lr=0.005)
    for _ in range(400):
        optimizer.zero_grad()
        learned.nll(RAW, X).mean().backward()
        optimizer.step()
    rmse = (RAW.sigmoid() - X).square().mean().sqrt().item()
    assert learned.log_sigma().exp().item() == pytest.approx(rmse, rel=1e-3)


def test_continuous_bernoulli_nll_is_that_of_torch_away_from_one_half():
    raw = torch.where(RAW.abs() < 0.2, 0.5 * torch.ones_like(RAW), RAW)
    expected = total(td.ContinuousBernoulli(logits=raw).log_prob(X))
    torch.testing.assert_close(ContinuousBernoulli().nll(raw, X), expected)


@pytest.mark.parametrize("eta", [-30.0, -2.0, -0.1, -0.099, 0.0, 1e-3, 0.1, 5.0, 30.0])
def test_continuous_bernoulli_integrates_to_one_with_the_mean_it_says(eta):
    x = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    raw = torch.full((len(x), 1), eta, dtype=torch.float64)
    density = (-ContinuousBernoulli().nll(raw, x[:, None])).exp()
    assert density.mean().item() == pytest.approx(1, abs=1e-6)
    mean = ContinuousBernoulli().mean(raw[:1]).item()
    assert (density * x).mean().item() == pytest.approx(mean, abs=1e-6)


def test_continuous_bernoulli_gradient_is_finite_at_one_half():
    raw = torch.zeros(2, 1, 2, 2, requires_grad=True)
    ContinuousBernoulli().nll(raw, torch.rand(2, 1, 2, 2)).sum().backward()
    assert raw.grad.isfinite().all()


@pytest.mark.parametrize("log_scale", [-6.9, -5.0, -2.0, 1.0, 4.0])
@pytest.mark.parametrize("raw", [-40.0, -3.0, 0.0, 0.7, 40.0])
def test_discretised_logistic_gives_the_256_levels_probabilities_that_sum_to_one(raw, log_scale):
    likelihood = scaled(log_scale)
    x = torch.arange(256, dtype=torch.float64)[:, None] / 255
    p = (-likelihood.nll(torch.full_like(x, raw), x)).exp()
    assert p.sum().item() == pytest.approx(1, abs=1e-12)
    edges = (torch.arange(257, dtype=torch.float64) - 0.5) / 255
    edges[0], edges[-1] = -torch.inf, torch.inf
    cdf = torch.sigmoid((edges - torch.tensor(raw, dtype=torch.float64).sigmoid()) / math.exp(log_scale))
    torch.testing.assert_close(p, cdf.diff(), atol=1e-13, rtol=1e-6)


def scaled(log_scale: float) -> DiscretisedLogistic:
    likelihood = DiscretisedLogistic().double()
    likelihood.raw_log_scale.data.fill_((math.log(math.expm1(log_scale + 7)) - 7) / likelihood.PACE)
    assert likelihood.log_scale().item() == pytest.approx(log_scale, abs=1e-9)
    return likelihood


def test_discretised_logistic_is_that_of_torch_and_sums_over_pixels():
    x = (255 * X).round() / 255
    inner = x.clamp(1 / 255, 254 / 255)
    base = td.Uniform(torch.zeros_like(RAW), torch.ones_like(RAW), validate_args=False)
    logistic = td.TransformedDistribution(
        base, [td.SigmoidTransform().inv, td.AffineTransform(RAW.sigmoid(), math.exp(-3.0))], validate_args=False
    )
    expected = total((logistic.cdf(inner + 1 / 510) - logistic.cdf(inner - 1 / 510)).log())
    torch.testing.assert_close(scaled(-3.0).nll(RAW, inner), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_the_discretised_logistic_are_finite_at_the_edges_and_far_away(dtype):
    likelihood = DiscretisedLogistic().to(dtype)
    for start in (0.0, -5.0, 3.0):
        likelihood.raw_log_scale.data.fill_(start)
        x = torch.tensor([0.0, 1 / 255, 0.5, 254 / 255, 1.0], dtype=dtype).repeat(5, 1)[:, None, None]
        raw = torch.tensor([-100.0, -5, 0, 5, 100], dtype=dtype)[:, None, None, None].expand_as(x).clone()
        raw.requires_grad_()
        likelihood.zero_grad()
        nll = likelihood.nll(raw, x)
        nll.sum().backward()
        assert nll.isfinite().all()
        assert raw.grad.isfinite().all()
        assert likelihood.raw_log_scale.grad.isfinite()


def test_gradients_of_the_discretised_logistic_are_those_of_finite_differences():
    raw = RAW[:2, :1].clone().requires_grad_()
    x = ((255 * X).round() / 255)[:2, :1].clone()
    x[0, 0, 0, :2] = torch.tensor([0.0, 1.0])
    assert torch.autograd.gradcheck(lambda r: scaled(-2.0).nll(r, x), (raw,))


def test_a_stack_of_discretised_logistics_is_each_of_them():
    stack = [scaled(-4.0), scaled(-1.0)]
    scales = {"raw_log_scale": torch.stack([one.raw_log_scale.detach() for one in stack])}
    x = (255 * X).round() / 255
    found = torch.func.vmap(lambda p: torch.func.functional_call(Pair(stack[0]), p, (RAW, x)))(
        {"of.raw_log_scale": scales["raw_log_scale"]}
    )
    torch.testing.assert_close(found, torch.stack([one.nll(RAW, x).detach() for one in stack]))


class Pair(torch.nn.Module):
    """A likelihood whose `forward` is its `nll`."""

    def __init__(self, of):
        super().__init__()
        self.of = of

    def forward(self, raw, x):
        return self.of.nll(raw, x)


@pytest.mark.parametrize(
    ("name", "options", "key"),
    [
        ("learned_gaussian", {"link": "sigmoid"}, "learned_gaussian"),
        ("learned_gaussian", {"link": "identity"}, "learned_gaussian link=identity"),
        ("gaussian", {"sigma": 0.5, "link": "sigmoid"}, "gaussian sigma=0.5"),
    ],
)
def test_the_key_of_a_bound_names_a_link_that_is_not_the_sigmoid(name, options, key):
    """So that a value from before the option has the key of one from after it."""
    cell = SimpleNamespace(likelihood=Choice(name, options))
    context = SimpleNamespace(cell=cell, model=SimpleNamespace(conditional=False))
    assert bounds.likelihood(context) == key


def test_the_mean_of_an_identity_link_is_what_the_decoder_puts_out():
    raw = 3 * torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    for kind in (Gaussian(sigma=0.7, link="identity"), LearnedGaussian(link="identity")):
        assert torch.equal(kind.mean(raw), raw)
        sigma = 0.7 if isinstance(kind, Gaussian) else kind.log_sigma().exp()
        expected = -torch.distributions.Normal(raw, sigma).log_prob(x).flatten(1).sum(1)
        torch.testing.assert_close(kind.nll(raw, x), expected)
