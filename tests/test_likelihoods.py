"""Every formula against torch.distributions, in double precision."""

import math

import pytest
import torch
from torch import distributions as td

from bench.models.likelihoods import (
    Bernoulli,
    ContinuousBernoulli,
    Gaussian,
    LearnedGaussian,
    gaussian_kl,
    gaussian_log_prob,
    reparametrise,
)

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
