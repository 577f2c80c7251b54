"""Mathematics of single methods: closed forms, identities, reference computations. The contract: test_variants."""

import math
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch
from scipy import special
from test_variants import TRAINED, batch, make, objective, same_parameters

from bench import registry
from bench.datasets._splits import to_float
from bench.errors import NotApplicable, UsageError
from bench.models import divergences
from bench.models.likelihoods import gaussian_kl, gaussian_log_prob, reparametrise
from bench.models.variants import Posterior, hyperspherical_vae, two_layer_vae
from bench.models.variants.beta_tc_vae import kl_parts
from bench.models.variants.dip_vae import batch_covariance
from bench.models.variants.factor_vae import permuted
from bench.models.variants.iwae import log_mean_exp
from bench.suite import Choice, Train
from bench.training.trainer import fit

DOUBLE = torch.float64
LINEAR = Train(epochs=150, batch_size=64, lr=3e-3, schedule="cosine")  #: what a linear model of the digits needs


def normals(*shape, seed=0, dtype=DOUBLE):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# -- methods that are another one at an end of their options


@pytest.mark.parametrize(
    ("name", "off", "plain"),
    [
        ("free_bits_vae", {"free_nats": 0.0}, "vae"),
        ("dip_vae", {"off_diagonal": 0.0, "diagonal": 0.0}, "vae"),
        ("wae_mmd", {"weight": 0.0}, "ae"),
        ("sliced_wasserstein_ae", {"weight": 0.0}, "ae"),
        ("rae_l2", {"beta": 0.0, "weight": 0.0}, "ae"),
        ("rae_gp", {"beta": 0.0, "weight": 0.0}, "ae"),
        ("ciwae", {"beta": 0.0}, "iwae"),
    ],
)
def test_a_method_with_its_term_switched_off_is_the_one_it_came_from(name, off, plain):
    method, origin, (x, y) = make(name, **off), make(plain), batch()
    same_parameters(origin, method)
    noise = method.draw(x, torch.Generator().manual_seed(0))
    mine = method(x, y, noise)["loss"]
    theirs = origin(x, y, noise if torch.is_tensor(origin.draw(x, torch.Generator())) else ())["loss"]
    torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=0)


def test_info_vae_at_alpha_0_and_weight_1_is_the_vae():
    method, origin, (x, y) = make("info_vae", alpha=0.0, weight=1.0), make("vae"), batch()
    same_parameters(origin, method)
    eps, prior = method.draw(x, torch.Generator().manual_seed(0))
    torch.testing.assert_close(method(x, y, (eps, prior))["loss"], origin(x, y, eps)["loss"])


def test_info_vae_at_alpha_1_has_the_penalty_of_the_wasserstein_autoencoder_alone():
    method, (x, y) = make("info_vae", alpha=1.0, weight=7.0), batch()
    terms = objective(method, x, y)
    torch.testing.assert_close(terms["loss"], terms["rec"] + 7 * terms["mmd"])


@pytest.mark.parametrize(("name", "adversary"), [("factor_vae", {"gamma": 0.0}), ("adversarial_ae", {"weight": 0.0})])
def test_an_adversary_without_weight_leaves_the_gradients_of_the_model_alone(name, adversary):
    method, (x, y) = make(name, **adversary), batch()
    terms = objective(method, x, y)
    plain = terms["rec"] + terms.get("kl", 0)
    model = list(method.net.parameters())
    for mine, theirs in zip(
        torch.autograd.grad(terms["loss"], model, retain_graph=True),
        torch.autograd.grad(plain, model),
        strict=True,
    ):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-7)


# -- importance weights


class LinearGaussian:
    """p(z) = N(0, 1), p(x|z) = N(w z, s²), q(z|x) = N(a x, t²): log p(x) and the ELBO have closed forms."""

    w, s, a, t = 1.3, 0.7, 0.45, 0.6

    def log_px(self, x):
        return torch.distributions.Normal(0.0, math.sqrt(self.w**2 + self.s**2)).log_prob(x)

    def elbo(self, x):
        mean = self.a * x
        rec = -0.5 * math.log(2 * math.pi * self.s**2) - ((x - self.w * mean) ** 2 + (self.w * self.t) ** 2) / (
            2 * self.s**2
        )
        return rec - gaussian_kl(mean.unsqueeze(-1), torch.full_like(mean, 2 * math.log(self.t)).unsqueeze(-1))

    def model(self, samples):
        """`iwae` with this model in the place of its net and likelihood, in float64."""
        method = make("iwae", samples=samples, latent_size=1)
        outer = self

        class Likelihood(torch.nn.Module):
            def nll(self, raw, x):
                return -torch.distributions.Normal(raw, outer.s).log_prob(x).flatten(1).sum(1)

        method.likelihood = Likelihood()
        method.decode = lambda z, y=None: (self.w * z).view(-1, 1, 1, 1)
        method.posterior = lambda x, y=None: Posterior(
            self.a * x.flatten(1), torch.full((len(x), 1), 2 * math.log(self.t), dtype=DOUBLE)
        )
        return method

    def bound(self, samples, x, draws=4000):
        images = x.repeat(draws).view(-1, 1, 1, 1)
        noise = normals(len(images), samples, 1, seed=samples)
        return -self.model(samples)(images, None, noise)["loss"].item()


def test_importance_weighted_bounds_rise_from_the_elbo_to_the_evidence():
    toy, x = LinearGaussian(), torch.tensor([0.8, -1.7], dtype=DOUBLE)
    bounds = {k: toy.bound(k, x) for k in (1, 5, 50, 500)}
    evidence = toy.log_px(x).mean().item()
    assert bounds[1] == pytest.approx(toy.elbo(x).mean().item(), abs=0.02)
    assert bounds[1] < bounds[5] < bounds[50] < evidence + 1e-3
    assert bounds[500] == pytest.approx(evidence, abs=2e-3)


def test_the_gradient_weighs_draws_by_their_normalised_importance_weights():
    """And not upside down: the draw with the largest weight has the largest share."""
    log_w = normals(3, 5).requires_grad_()
    (gradient,) = torch.autograd.grad(log_mean_exp(log_w).sum(), log_w)
    torch.testing.assert_close(gradient, torch.softmax(log_w.detach(), 1))
    assert torch.equal(gradient.argmax(1), log_w.argmax(1))


@pytest.mark.parametrize("name", ["iwae", "ciwae", "miwae"])
def test_a_weight_is_one_of_a_draw_and_not_of_an_image(name):
    """log w_i = log p(x|z_i) + log p(z_i) − log q(z_i|x), each with the density of its own draw."""
    method, (x, _) = make(name), batch()
    noise = method.draw(x, torch.Generator().manual_seed(0))
    nll, kl = method.weight_terms(x, noise)
    q = method.posterior(x)
    normal, unit = torch.distributions.Normal(q.mean, (q.log_var / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    for i in range(noise.shape[1]):
        z = reparametrise(q.mean, q.log_var, noise[:, i])
        torch.testing.assert_close(nll[:, i], method.likelihood.nll(method.decode(z), x))
        torch.testing.assert_close(kl[:, i], (normal.log_prob(z) - unit.log_prob(z)).sum(1))


def test_one_bound_of_many_draws_is_iwae_and_many_bounds_of_one_draw_are_the_elbo():
    iwae, (x, y) = make("iwae", samples=6), batch()
    noise = iwae.draw(x, torch.Generator().manual_seed(0))
    one, many = make("miwae", samples=6, bounds=1), make("miwae", samples=1, bounds=6)
    for method in (one, many):
        same_parameters(iwae, method)
    torch.testing.assert_close(one(x, y, noise)["loss"], iwae(x, y, noise)["loss"])
    terms = many(x, y, noise)
    torch.testing.assert_close(terms["loss"], terms["rec"] + terms["kl"])
    assert iwae(x, y, noise)["loss"] <= terms["loss"]


# -- linear models reach their closed forms


def test_a_linear_autoencoder_reaches_the_error_of_the_leading_eigenvectors(digits):
    """It has no biases, so the eigenvectors are those of the second moments, not centred (Baldi & Hornik 1989)."""
    [fitted] = fit(lambda: make("linear_ae", latent_size=3), digits, LINEAR.model_copy(update={"lr": 2e-2}), [0])
    x = to_float(digits.train.images)
    rows = x.flatten(1).double()
    directions = torch.linalg.eigh(rows.T @ rows).eigenvectors[:, -3:]
    best = (rows - rows @ directions @ directions.T).square().mean().item()
    with torch.no_grad():
        error = (fitted.model.generate(fitted.model.encode(x)) - x).square().mean().item()
    assert best * (1 - 1e-5) <= error <= best * 1.005


def test_a_linear_vae_reaches_the_likelihood_of_probabilistic_pca(digits):
    """Its ELBO has that maximum, where σ² is the mean of the other eigenvalues (Tipping & Bishop 1999, Lucas 2019)."""
    net, size = ("mlp", {"hidden": (), "activation": "relu"}), 3
    likelihood = Choice("learned_gaussian", {"link": "identity"})
    [fitted] = fit(lambda: make("vae", net, latent_size=size, likelihood=likelihood), digits, LINEAR, [0])
    x = to_float(digits.train.images)
    values = torch.linalg.eigvalsh(torch.cov(x.flatten(1).double().T, correction=0)).flip(0)
    variance = values[size:].mean()
    logs = values[:size].log().sum() + (64 - size) * variance.log()
    maximum = -0.5 * (64 * (math.log(2 * math.pi) + 1) + logs).item()
    with torch.no_grad():
        elbo = -torch.stack([objective(fitted.model, x, None, seed)["loss"] for seed in range(20)]).mean().item()
    assert elbo == pytest.approx(maximum, abs=0.15)
    assert fitted.model.likelihood.log_sigma().item() == pytest.approx(0.5 * variance.log().item(), abs=0.01)


# -- no weight of the KL is hidden in a reduction

GAUSSIAN = [n for n in TRAINED if registry.describe("variants", n).constants["has_posterior"]]
WITH_KL = [n for n in GAUSSIAN if registry.describe("variants", n).constants["closed_kl"]]


@pytest.mark.parametrize("name", [n for n in TRAINED if n not in ("linear_ae", "sigma_vae")])
def test_the_reconstruction_is_summed_over_pixels_whatever_their_number(name):
    """A decoder that says ½ everywhere costs log 2 a pixel: averaged over pixels, β would be P times what it says."""
    for shape in ((1, 8, 8), (3, 16, 16)):
        method = make(name, shape=shape)
        for parameter in method.net.decoder.parameters():
            parameter.data.zero_()
        rec = objective(method, *batch(shape))["rec"].item()
        assert rec == pytest.approx(shape[0] * shape[1] * shape[2] * math.log(2), rel=1e-5)


@pytest.mark.parametrize("name", WITH_KL)
def test_the_kl_is_summed_over_the_numbers_of_a_code(name):
    """q(z|x) = N(2, 1) in each of D dimensions is 2 D nats from N(0, I)."""
    for size in (2, 6):
        method = make(name, latent_size=size)
        for parameter in method.net.encoder.parameters():
            parameter.data.zero_()
        method.net.encoder[-1].bias.data[:size] = 2.0
        draws = [objective(method, *batch(n=64), seed)["kl"].item() for seed in range(2)]
        assert sum(draws) / len(draws) == pytest.approx(2 * size, rel=0.25)  # a mean over them would be 2


# -- total correlation


def test_the_three_parts_add_up_to_the_monte_carlo_kl():
    mean, log_var = normals(7, 3), normals(7, 3, seed=1)
    z = reparametrise(mean, log_var, normals(7, 3, seed=2))
    normal, unit = torch.distributions.Normal(mean, (log_var / 2).exp()), torch.distributions.Normal(0.0, 1.0)
    expected = (normal.log_prob(z) - unit.log_prob(z)).sum(1).mean()
    torch.testing.assert_close(sum(kl_parts(z, mean, log_var)), expected.to(DOUBLE))


def test_one_latent_dimension_has_no_total_correlation():
    mean, log_var = normals(9, 1), normals(9, 1, seed=1)
    z = reparametrise(mean, log_var, normals(9, 1, seed=2))
    assert kl_parts(z, mean, log_var)[1].item() == pytest.approx(0, abs=1e-12)


def test_the_total_correlation_of_a_correlated_gaussian_is_found():
    """q(z) = N(0, R) through means N(0, R − s² I) and variances s²: TC = −½ log det R."""
    rho, n, noise = 0.8, 4000, 0.1
    covariance = torch.tensor([[1.0, rho], [rho, 1.0]], dtype=DOUBLE)
    root = torch.linalg.cholesky(covariance - noise * torch.eye(2, dtype=DOUBLE))
    mean, log_var = normals(n, 2) @ root.T, torch.full((n, 2), math.log(noise), dtype=DOUBLE)
    z = reparametrise(mean, log_var, normals(n, 2, seed=1))
    assert kl_parts(z, mean, log_var)[1].item() == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.05)


def test_total_correlation_of_independent_codes_is_zero():
    """Codes on a grid: every pair of coordinates occurs once."""
    mean = torch.tensor(list(product(range(6), repeat=2)), dtype=DOUBLE)
    log_var = torch.full_like(mean, -4.0)
    assert kl_parts(mean, mean, log_var)[1].item() == pytest.approx(0, abs=1e-9)


def test_a_permuted_batch_has_the_same_marginals():
    z = normals(8, 3)
    mixed = permuted(z, torch.rand(8, 3, generator=torch.Generator().manual_seed(3)))
    assert torch.equal(mixed.sort(0).values, z.sort(0).values)
    assert not torch.equal(mixed, z)


@pytest.mark.parametrize("name", ["factor_vae", "adversarial_ae"])
def test_a_blind_critic_has_a_loss_of_log_2(name):
    method = make(name, latent_size=3)
    for parameter in method.critic.parameters():
        parameter.data.zero_()
    z, other = torch.randn(6, 3), torch.rand(6, 3)
    assert method.critic_loss(z, other).item() == pytest.approx(math.log(2))
    terms = objective(method, *batch())
    assert terms["critic"].item() == pytest.approx(math.log(2))
    assert terms.get("tc", torch.zeros(())).item() == 0


@pytest.mark.parametrize(
    ("name", "weight", "term"), [("factor_vae", "gamma", "tc"), ("adversarial_ae", "weight", "fool")]
)
def test_one_loss_has_the_gradients_of_two_optimisers(name, weight, term):
    """The model's loss with the critic held fixed, and the critic's loss on codes held fixed, in two passes."""
    method, (x, y) = make(name), batch()
    noise = method.draw(x, torch.Generator().manual_seed(0))
    terms = method(x, y, noise)
    terms["loss"].backward()
    found = {key: p.grad.clone() for key, p in method.named_parameters()}
    method.zero_grad()
    terms = method(x, y, noise)
    model = terms["rec"] + terms.get("kl", 0) + getattr(method, weight) * term_of(method, x, noise, term)
    of_model = torch.autograd.grad(model, list(method.net.parameters()))
    expected = {f"net.{k}": v for (k, _), v in zip(method.net.named_parameters(), of_model, strict=True)}
    z, other = codes_of(method, x, noise)
    critic = method.critic_loss(z.detach(), other)
    of_critic = torch.autograd.grad(critic, list(method.critic.parameters()))
    expected |= {f"critic.{k}": v for (k, _), v in zip(method.critic.named_parameters(), of_critic, strict=True)}
    assert found.keys() == expected.keys()
    for key, gradient in expected.items():
        torch.testing.assert_close(found[key], gradient, rtol=1e-5, atol=1e-7)


def codes_of(method, x, noise):
    if isinstance(noise, tuple):
        q = method.posterior(x)
        return reparametrise(q.mean, q.log_var, noise[0]), noise[1]
    return method.encode(x), noise


def term_of(method, x, noise, term):
    """The adversarial term with the critic as it is: its gradient to the critic is not looked at."""
    logits = method.critic(codes_of(method, x, noise)[0])
    return (logits[:, 0] - logits[:, 1]).mean() if term == "tc" else torch.nn.functional.softplus(-logits).mean()


# -- moments and kernels


def test_whitened_codes_have_no_dip_penalty():
    codes = torch.tensor(list(product((-1.0, 1.0), repeat=3)), dtype=DOUBLE)
    torch.testing.assert_close(batch_covariance(codes), torch.eye(3, dtype=DOUBLE))
    method = make("dip_vae", latent_size=3, kind="I")
    method.posterior = lambda x, y=None: Posterior(codes.float(), torch.zeros(8, 3))
    assert objective(method, *batch(n=8))["dip"].item() == pytest.approx(0, abs=1e-9)


def test_dip_ii_adds_the_mean_of_the_posterior_variances():
    codes, (x, y) = torch.zeros(8, 3), batch(n=8)
    method = make("dip_vae", latent_size=3, kind="II", off_diagonal=1.0, diagonal=1.0)
    method.posterior = lambda x, y=None: Posterior(codes, torch.full((8, 3), math.log(0.25)))
    assert objective(method, x, y)["dip"].item() == pytest.approx(3 * 0.75**2)


@pytest.mark.parametrize("kernel", ["imq", "rbf"])
def test_mmd_is_that_of_a_double_loop(kernel):
    x, y = normals(5, 3), normals(5, 3, seed=1) + 1

    def k(a, b):
        d = ((a - b) ** 2).sum().item()
        if kernel == "rbf":
            return math.exp(-d / 6)
        return sum(2 * 3 * s / (2 * 3 * s + d) for s in divergences.SCALES)

    pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
    within = sum(k(p[i], p[j]) for p in (x, y) for i, j in pairs) / 20
    between = sum(k(a, b) for a in x for b in y) / 25
    assert divergences.mmd(x, y, kernel).item() == pytest.approx(within - 2 * between, rel=1e-10)


def test_mmd_of_draws_from_one_distribution_averages_to_zero_and_of_two_does_not():
    same = torch.stack(
        [divergences.mmd(normals(20, 2, seed=2 * i), normals(20, 2, seed=2 * i + 1)) for i in range(300)]
    )
    assert same.mean().item() == pytest.approx(0, abs=4 * same.std().item() / 300**0.5)
    assert same.min() < 0
    assert divergences.mmd(normals(200, 2), normals(200, 2, seed=1) + 2).item() > 20 * same.std().item()


def test_sliced_wasserstein_distance_of_a_shift_is_its_square_over_the_dimension():
    """Sorted projections of x + t differ by t·u, and the mean of (t·u)² over the axes is ‖t‖²/D."""
    x, shift = normals(30, 3), torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)
    found = divergences.sliced_wasserstein(x, x + shift, 5 * torch.eye(3, dtype=DOUBLE))
    assert found.item() == pytest.approx(shift.square().sum().item() / 3)
    assert divergences.sliced_wasserstein(x, x.flip(0), torch.eye(3, dtype=DOUBLE)).item() == 0


# -- regularised autoencoders


def test_the_penalty_on_the_decoder_is_its_squared_norm():
    method, (x, y) = make("rae_l2"), batch()
    expected = sum(p.square().sum() for p in method.net.decoder.parameters())
    torch.testing.assert_close(objective(method, x, y)["decay"], expected)


def test_the_estimated_jacobian_of_a_linear_decoder_is_its_frobenius_norm():
    method, (x, y) = make("rae_gp", latent_size=3), batch()
    weight = normals(64, 3, dtype=torch.float32)
    method.generate = lambda z, y=None: (z @ weight.T).view(-1, 1, 8, 8)
    exact = weight.square().sum().item()
    draws = torch.tensor([objective(method, x, y, seed)["jacobian"].item() for seed in range(300)])
    assert draws.mean().item() == pytest.approx(exact, abs=4 * draws.std().item() / 300**0.5)


def test_the_estimated_jacobian_is_the_one_of_autograd_on_average_over_all_signs():
    """Over all sign vectors the mean of ‖J v‖² is ‖J‖² exactly."""
    method, (x, y) = make("rae_gp", latent_size=3), batch(n=2)
    signs = [torch.tensor(s).expand(2, 3) for s in product((-1.0, 1.0), repeat=3)]
    mean = torch.stack([method(x, y, s)["jacobian"] for s in signs]).mean()
    z = method.encode(x).detach()
    jacobian = torch.autograd.functional.jacobian(lambda codes: method.generate(codes).flatten(1), z)
    exact = torch.stack([jacobian[i, :, i].square().sum() for i in range(2)]).mean()
    torch.testing.assert_close(mean, exact, rtol=1e-4, atol=1e-7)


# -- discrete codes


def test_fsq_has_all_levels_and_its_indices_invert():
    for levels in (2, 3, 5, 8):
        method = make("fsq_ae", latent_size=2, levels=levels)
        method.net.encode = lambda x: x.flatten(1)
        codes = method.encode(torch.linspace(-30, 30, 2001).view(-1, 1).repeat(1, 2))
        assert len(codes[:, 0].unique()) == levels
        assert codes.abs().max() <= 1
        indices = method.indices(codes)
        assert set(indices.flatten().tolist()) == set(range(levels))
        assert torch.equal(method.values(indices), codes)


def test_fsq_passes_the_gradient_of_the_bound_straight_through():
    method = make("fsq_ae", latent_size=2, levels=5)
    method.net.encode = lambda x: x.flatten(1)
    u = normals(6, 2, dtype=torch.float32).requires_grad_()
    (through,) = torch.autograd.grad(method.encode(u).sum(), u)
    (bounded,) = torch.autograd.grad(method.bound(method.shorten(u)).sum() / 2, u)
    torch.testing.assert_close(through, bounded)


def test_fsq_reaches_every_code_and_keeps_a_slope_far_outside():
    for levels in (2, 3, 5, 8):
        method = make("fsq_ae", latent_size=3, levels=levels)
        method.net.encode = lambda x: x.flatten(1)
        corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3) * 1e4
        assert len(method.encode(corners).unique(dim=0)) == 8
        u = corners.clone().requires_grad_()
        method.encode(u)[:, 0].sum().backward()
        turning = (u.grad * 1e4).abs().amax(1)  # by the direction; the length has no gradient there
        assert levels == 2 or turning.min() > 1e-3  # the upper of two levels begins far from its edge
        small = 0.1 * torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
        torch.testing.assert_close(method.shorten(small), small)


def test_vq_takes_the_nearest_vector_by_brute_force():
    method = make("vq_vae", latent_size=4, codes=7, dim=2)
    z = normals(5, 4, dtype=torch.float32)
    for i, indices in enumerate(method.indices(z)):
        for position, index in enumerate(indices):
            vector = z[i, 2 * position : 2 * position + 2]
            assert index == min(range(7), key=lambda k: (vector - method.codebook[k]).square().sum().item())


def test_vq_copies_the_decoder_s_gradient_to_the_encoder():
    method = make("vq_vae", latent_size=4, beta=0.0)
    seen, (x, y) = [], batch()
    decode = method.decode
    method.decode = lambda z, y=None: seen.append(z) or decode(z)
    z = method.net.encode(x).detach().requires_grad_()
    method.net.encode = lambda images: z
    terms = method(x, y, ())
    at_decoder, at_encoder = torch.autograd.grad(terms["rec"], [seen[0], z], retain_graph=True)
    torch.testing.assert_close(at_encoder, at_decoder)
    (codebook,) = torch.autograd.grad(terms["rec"], [method.codebook], allow_unused=True)
    assert codebook is None


def test_a_codebook_of_one_vector_has_one_image():
    method, (x, _) = make("vq_vae", latent_size=4, codes=1), batch()
    images = method.generate(method.encode(x))
    assert torch.equal(images, images[:1].expand_as(images))


@pytest.mark.parametrize(
    ("name", "options"), [("vq_vae", {"dim": 3}), ("vq_vae", {"codes": 0}), ("fsq_ae", {"levels": 1})]
)
def test_an_impossible_quantiser_is_refused(name, options):
    with pytest.raises(UsageError, match=name):
        make(name, latent_size=4, **options)


# -- learned priors and flows


def standard(z):
    return torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)


@pytest.mark.parametrize("name", ["planar_vae", "iaf_vae"])
def test_the_log_determinant_of_a_flow_is_that_of_its_jacobian(name):
    method = make(name).double()
    for seed, parameter in enumerate(method.parameters()):  # away from the start, which is nearly the identity
        parameter.data += 0.3 * normals(*parameter.shape, seed=seed)
    z, context = normals(5, 4), normals(5, 4, seed=1)
    moved, log_det = method.flow(z, context)
    for i in range(5):
        of_image = partial(method.flow, context=context[i : i + 1])
        jacobian = torch.autograd.functional.jacobian(lambda one, f=of_image: f(one.unsqueeze(0))[0].squeeze(0), z[i])
        assert log_det[i].item() == pytest.approx(torch.linalg.slogdet(jacobian).logabsdet.item(), rel=1e-8)
    assert moved.shape == z.shape


def test_planar_maps_stay_invertible_whatever_their_parameters():
    method = make("planar_vae").double()
    layer = method.parameters_of
    layer.weight.data, layer.bias.data = 5 * normals(*layer.weight.shape), 5 * normals(*layer.bias.shape, seed=1)
    assert method.flow(normals(500, 4, seed=2), normals(500, 4, seed=3))[1].isfinite().all()


def test_a_number_of_an_autoregressive_step_depends_on_those_before_it_and_on_the_context_alone():
    step = make("iaf_vae").double().steps[0]
    jacobian = torch.autograd.functional.jacobian(lambda z: step(z.unsqueeze(0)).view(4, 2), normals(8))  # (4, 2, 8)
    of_code, of_context = jacobian.abs().sum(1).split(4, dim=1)
    assert of_code.triu().max() == 0
    assert of_code.tril(-1).sum() > 0
    assert (of_context > 0).all()


@pytest.mark.parametrize("name", ["planar_vae", "iaf_vae"])
def test_each_image_has_a_flow_of_its_own(name):
    """With equal z_0 and other contexts the flows end in other places."""
    method, z = make(name).double(), normals(1, 4).expand(2, -1)
    (a, b), log_det = method.flow(z, normals(2, 4, seed=1))
    assert (a - b).abs().min() > 1e-6
    assert log_det[0] != log_det[1]


@pytest.mark.parametrize("name", ["planar_vae", "iaf_vae"])
def test_a_flow_that_moves_nothing_is_the_vae_with_a_sampled_kl(name):
    method, origin, (x, y) = make(name), make("vae"), batch()
    whole = method.net.state_dict()
    last = [key for key, value in origin.net.state_dict().items() if value.shape != whole[key].shape]
    origin.net.load_state_dict(whole | {key: whole[key][:8] for key in last})  # without the context
    for key, parameter in method.named_parameters():
        if not key.startswith("net"):
            parameter.data.zero_()
    if name == "planar_vae":  # û is u moved along w, which needs a direction; u of this length makes û = 0
        u, w = math.log(math.e - 1), 1.0
        method.parameters_of.bias.data = torch.tensor([u, 0, 0, 0, w, 0, 0, 0, 0]).repeat(10)
    eps = method.draw(x, torch.Generator().manual_seed(0))
    q = origin.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    expected = torch.distributions.Normal(q.mean, (q.log_var / 2).exp()).log_prob(z).sum(1) - standard(z)
    terms = method(x, y, eps)
    torch.testing.assert_close(terms["rec"], origin(x, y, eps)["rec"])
    torch.testing.assert_close(terms["kl"], expected.mean())


def test_the_vampprior_is_the_mean_density_of_its_posteriors():
    method = make("vamp_vae", components=3)
    z, q = torch.randn(5, 4), method.posterior(method.pseudo_inputs.sigmoid())
    each = [torch.distributions.Normal(q.mean[k], (q.log_var[k] / 2).exp()).log_prob(z).sum(1).exp() for k in range(3)]
    torch.testing.assert_close(method.log_prior(z), (sum(each) / 3).log())


def test_with_the_images_as_pseudo_inputs_the_kl_to_the_vampprior_is_a_mutual_information():
    """p(z) is then the aggregate posterior: E[log q(z|x) − log q(z)] lies in [0, log N]."""
    method, (x, y) = make("vamp_vae", components=6), batch()
    for layer in method.net.encoder:
        if hasattr(layer, "weight"):
            layer.weight.data *= 4  # posteriors apart from each other
    method.pseudo_inputs.data = torch.logit(x.clamp(1e-6, 1 - 1e-6))
    kl = torch.stack([objective(method, x, y, seed)["kl"] for seed in range(200)]).mean().item()
    assert 0 <= kl <= math.log(6) + 0.05


def test_a_mixture_of_one_standard_component_is_the_standard_normal():
    method, z = make("gm_vae", components=1), torch.randn(5, 4)
    method.means.data.zero_()
    torch.testing.assert_close(method.log_prior(z), standard(z))
    many = make("gm_vae", components=3)
    many.means.data.zero_()
    torch.testing.assert_close(many.log_prior(z), standard(z))


def test_two_layers_without_a_link_are_the_vae_with_a_sampled_kl():
    method, (x, y) = make("two_layer_vae"), batch()
    for parameter in [*method.up.parameters(), *method.down.parameters()]:
        parameter.data.zero_()
    eps = method.draw(x, torch.Generator().manual_seed(0))
    q = method.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps[0])
    expected = torch.distributions.Normal(q.mean, (q.log_var / 2).exp()).log_prob(z).sum(1) - standard(z)
    terms = method(x, y, eps)
    assert terms["kl_2"].item() == 0
    torch.testing.assert_close(terms["kl"], expected.mean())


def test_a_ladder_multiplies_the_encoders_gaussian_and_the_generators():
    """The product's density differs from the two factors' by a constant of z, and has the smaller variance."""
    normal = lambda seed: Posterior(normals(5, 4, seed=seed), normals(5, 4, seed=seed + 1))  # noqa: E731
    a, b = normal(0), normal(2)
    product = two_layer_vae.product_of(a, b)
    at = [normals(5, 4, seed=seed) for seed in (4, 5, 6)]
    ratios = [gaussian_log_prob(z, *a) + gaussian_log_prob(z, *b) - gaussian_log_prob(z, *product) for z in at]
    for ratio in ratios[1:]:
        torch.testing.assert_close(ratio, ratios[0])
    assert (product.log_var < torch.minimum(a.log_var, b.log_var)).all()
    of = lambda q: torch.distributions.Normal(q.mean, (q.log_var / 2).exp())  # noqa: E731
    expected = torch.distributions.kl_divergence(of(a), of(b)).sum(1)
    torch.testing.assert_close(two_layer_vae.gaussian_kl_between(a, b), expected)


def test_a_ladder_whose_encoder_says_nothing_draws_from_its_prior():
    """With an infinite variance from the encoder q(z_1|z_2, x) is p(z_1|z_2): the KL is that of z_2 alone."""
    method, (x, y) = make("two_layer_vae", ladder=True), batch()
    method.net.encode = lambda x: torch.cat([torch.randn(len(x), 4), torch.full((len(x), 4), 60.0)], 1)
    terms = objective(method, x, y)
    torch.testing.assert_close(terms["kl"], terms["kl_2"])
    assert terms["kl_2"].item() > 0


def test_the_terms_of_a_ladder_are_those_of_its_draws_on_average():
    method, (x, y) = make("two_layer_vae", ladder=True), batch(n=1)
    x, y = x.expand(20_000, -1, -1, -1), y.expand(20_000)
    noise = method.draw(x, torch.Generator().manual_seed(0))
    _, log_ratio = method.draw_code(x, None, noise)
    kl = method(x, y, noise)["kl"].item()
    assert log_ratio.mean().item() == pytest.approx(kl, abs=4 * log_ratio.std().item() / 20_000**0.5)
    with pytest.raises(NotApplicable, match="a mixture over z_2"):
        method.posterior(x)


def test_a_ladder_trained_in_a_stack_is_the_one_trained_alone(few_digits):
    builds = lambda: make("two_layer_vae", ladder=True)  # noqa: E731
    budget = Train(epochs=1, batch_size=32)
    stacked, alone = fit(builds, few_digits, budget, [0, 1], group_size=2), fit(builds, few_digits, budget, [1])
    for key in alone[0].history[-1].keys() - {"seconds"}:
        assert stacked[1].history[-1][key] == pytest.approx(alone[0].history[-1][key], rel=1e-4), key


@pytest.mark.parametrize("name", ["vamp_vae", "gm_vae"])
def test_draws_from_a_learned_prior_have_its_density(name):
    """The mean log-density of draws is minus the entropy: for one component a closed form."""
    method = make(name, components=1)
    z = method.draw_prior(20_000, torch.Generator().manual_seed(0))
    assert z.shape == (20_000, 4)
    log_var = method.log_vars if name == "gm_vae" else method.posterior(method.pseudo_inputs.sigmoid()).log_var
    entropy = 0.5 * (4 * (1 + math.log(2 * math.pi)) + log_var.sum().item())
    assert method.log_prior(z).mean().item() == pytest.approx(-entropy, abs=0.05)


# -- codes on a sphere, of categories, with labels; the optimal σ


def test_the_kl_of_a_von_mises_fisher_distribution_has_its_closed_form_in_three_dimensions():
    kappa = torch.tensor([1e-3, 0.5, 1.0, 5.0, 30.0, 100.0], dtype=DOUBLE)
    expected = kappa / torch.tanh(kappa) - 1 + (kappa / torch.sinh(kappa)).log()
    torch.testing.assert_close(hyperspherical_vae.vmf_kl(kappa, 3), expected, rtol=1e-6, atol=1e-9)
    assert hyperspherical_vae.vmf_kl(torch.zeros(1, dtype=DOUBLE), 3).item() == 0


@pytest.mark.parametrize("size", [2, 4, 16, 64])
def test_the_resultant_length_is_the_ratio_of_bessel_functions(size):
    kappa = torch.tensor([0.1, 1.0, 10.0, 100.0], dtype=DOUBLE)
    expected = special.ive(size / 2, kappa.numpy()) / special.ive(size / 2 - 1, kappa.numpy())
    found = hyperspherical_vae.resultant_length(kappa, size)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-6, atol=0)
    log_norm = [
        special.gammaln(size / 2) + (size / 2 - 1) * math.log(2 / k) + math.log(special.ive(size / 2 - 1, k)) + k
        for k in kappa.tolist()
    ]
    torch.testing.assert_close(
        hyperspherical_vae.log_normaliser(kappa, size), torch.tensor(log_norm, dtype=DOUBLE), rtol=1e-5, atol=1e-8
    )


@pytest.mark.parametrize("size", [2, 3, 8, 16, 64])
def test_the_kl_stays_right_for_narrow_posteriors(size):
    kappa = torch.tensor([200.0, 500.0, 1_000.0, 10_000.0], dtype=DOUBLE)
    k = kappa.numpy()
    bessel = special.ive(size / 2 - 1, k)
    log_norm = special.gammaln(size / 2) + (size / 2 - 1) * np.log(2 / k) + np.log(bessel) + k
    expected = torch.from_numpy(k * special.ive(size / 2, k) / bessel - log_norm)
    torch.testing.assert_close(hyperspherical_vae.vmf_kl(kappa, size), expected, rtol=0, atol=0.01)
    slope = torch.func.grad(lambda k: hyperspherical_vae.vmf_kl(k, size).sum())(kappa)  # κ A'(κ)
    ratio = torch.from_numpy(special.ive(size / 2, k) / bessel)
    torch.testing.assert_close(slope, kappa * (1 - ratio**2) - (size - 1) * ratio, rtol=0.05, atol=0)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_draws_lie_on_the_sphere_around_their_direction(size):
    method = make("hyperspherical_vae", latent_size=size)
    n, kappa = 20_000, 6.0
    direction = torch.nn.functional.normalize(torch.ones(n, size), dim=1)
    noise = method.code_noise(torch.zeros(n, 1, 8, 8), torch.Generator().manual_seed(0))
    z = hyperspherical_vae.draw_vmf(direction, torch.full((n,), kappa), *noise)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(n), rtol=0, atol=1e-3)
    along = (z * direction).sum(1)
    expected = hyperspherical_vae.resultant_length(torch.tensor(kappa, dtype=DOUBLE), size).item()
    assert along.mean().item() == pytest.approx(expected, abs=4 * along.std().item() / n**0.5)


def test_the_log_density_ratio_of_draws_averages_to_the_kl():
    method, x = make("hyperspherical_vae"), batch(n=1)[0].expand(5000, -1, -1, -1)
    z, log_q = method.draw_code(x, None, method.code_noise(x, torch.Generator().manual_seed(0)))
    ratio = log_q - method.log_prior(z)
    expected = hyperspherical_vae.vmf_kl(method.parameters_of(x[:1])[1], 4).item()
    assert ratio.mean().item() == pytest.approx(expected, abs=4 * ratio.std().item() / 5000**0.5)


@pytest.mark.parametrize("categories", [2, 4])
def test_the_kl_of_categories_is_log_k_minus_the_entropy(categories):
    method, (x, y) = make("categorical_vae", categories=categories, latent_size=8), batch()
    q = torch.distributions.Categorical(logits=method.log_probabilities(x))
    expected = (math.log(categories) - q.entropy()).sum(1).mean()
    torch.testing.assert_close(objective(method, x, y)["kl"], expected, rtol=1e-4, atol=1e-5)


def test_exact_draws_of_categories_have_their_probabilities():
    method, x = make("categorical_vae", categories=4), batch(n=1)[0].expand(20_000, -1, -1, -1)
    z, log_q = method.draw_code(x, None, method.code_noise(x, torch.Generator().manual_seed(0)))
    probabilities = method.encode(x[:1])[0]
    torch.testing.assert_close(z.mean(0), probabilities, rtol=0, atol=0.02)
    torch.testing.assert_close(log_q, (z * probabilities.log()).sum(1), rtol=1e-4, atol=1e-5)
    assert method.log_prior(z).unique().item() == pytest.approx(-math.log(4))
    assert method.draw_prior(7, torch.Generator().manual_seed(0)).sum().item() == 7


def test_two_categories_have_one_number_with_their_probability_and_one_bit():
    """The code is a sigmoid, the KL that of Bernoulli variables to fair coins, and 4 numbers tell 16 codes apart."""
    method, x = make("categorical_vae"), batch(n=1)[0].expand(20_000, -1, -1, -1)
    z, log_q = method.draw_code(x, None, method.code_noise(x, torch.Generator().manual_seed(0)))
    q = torch.distributions.Bernoulli(logits=method.net.encode(x[:1])[0])
    torch.testing.assert_close(method.encode(x[:1])[0], q.probs)
    torch.testing.assert_close(z.mean(0), q.probs, rtol=0, atol=0.02)
    torch.testing.assert_close(log_q, q.log_prob(z).sum(1), rtol=1e-4, atol=1e-5)
    assert method.log_prior(z).unique().item() == pytest.approx(-4 * math.log(2))
    assert method.draw_prior(1000, torch.Generator().manual_seed(0)).unique(dim=0).shape == (16, 4)


@pytest.mark.parametrize("categories", [2, 4])
def test_symbols_of_categories_are_the_most_probable_ones_and_invert(categories):
    method, (x, _) = make("categorical_vae", categories=categories, latent_size=8), batch()
    symbols = method.indices(method.encode(x))
    assert torch.equal(symbols, method.log_probabilities(x).argmax(2))
    assert torch.equal(method.indices(method.values(symbols)), symbols)
    z, _ = method.draw_code(x, None, method.code_noise(x, torch.Generator().manual_seed(0)))
    assert torch.equal(method.values(method.indices(z)), z)


def test_a_cold_relaxation_is_the_exact_draw():
    method, (x, y) = make("categorical_vae", temperature=1e-4), batch()
    noise = method.draw(x, torch.Generator().manual_seed(0))
    z, _ = method.draw_code(x, None, noise)
    torch.testing.assert_close(method(x, y, noise)["rec"], method.likelihood.nll(method.decode(z), x).mean())


def test_the_optimal_sigma_is_the_minimum_of_the_gaussian_likelihood():
    method, (x, y) = make("sigma_vae", likelihood="learned_gaussian"), batch()
    noise = method.draw(x, torch.Generator().manual_seed(0))
    terms = method(x, y, noise)
    q = method.posterior(x)
    error = (method.likelihood.mean(method.decode(reparametrise(q.mean, q.log_var, noise))) - x).square().mean()
    log_sigma = (0.5 * error.log()).detach().requires_grad_()
    nll = 64 * (0.5 * math.log(2 * math.pi) + log_sigma) + 32 * error * (-2 * log_sigma).exp()
    torch.testing.assert_close(nll.detach(), terms["rec"].detach())
    (slope,) = torch.autograd.grad(nll, log_sigma)
    assert slope.item() == pytest.approx(0, abs=1e-3)
    torch.testing.assert_close(terms["loss"], terms["rec"] + terms["kl"])


def test_the_learned_sigma_follows_the_optimal_one_and_does_not_move_the_net():
    method, (x, y) = make("sigma_vae", likelihood="learned_gaussian"), batch()
    terms = objective(method, x, y)
    net = list(method.net.parameters())
    with_sigma = torch.autograd.grad(terms["loss"], net, retain_graph=True)
    without = torch.autograd.grad(terms["rec"] + terms["kl"], net, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(with_sigma, without, strict=True))
    (slope,) = torch.autograd.grad(terms["loss"], method.likelihood.raw_log_sigma)
    assert slope > 0  # σ starts at 1, above the error of grey images


def test_sigma_vae_refuses_another_likelihood():
    with pytest.raises(UsageError, match="leave out `likelihood`"):
        make("sigma_vae", likelihood="bernoulli")


def test_m2_with_all_labels_is_the_conditional_vae_and_a_classifier():
    method, origin, (x, y) = make("m2_vae", weight=3.0), make("conditional_vae"), batch()
    origin.net.load_state_dict(method.net.state_dict())
    noise = method.draw(x, torch.Generator().manual_seed(0))
    terms, plain = method(x, y, noise), origin(x, y, noise)
    ce = torch.nn.functional.cross_entropy(method.predict(x), y)
    torch.testing.assert_close(terms["loss"], plain["loss"] + math.log(2) + 3 * ce)


def test_m2_sums_over_the_labels_it_does_not_know():
    method, (x, y) = make("m2_vae", classes=3), batch()
    noise = method.draw(x, torch.Generator().manual_seed(0))
    q = method.predict(x).softmax(1)
    total = torch.zeros(len(x))
    for k in range(3):
        label = torch.full_like(y, k)
        p = method.posterior(x, label)
        z = reparametrise(p.mean, p.log_var, noise)
        bound = method.likelihood.nll(method.decode(z, label), x) + gaussian_kl(p.mean, p.log_var) + math.log(3)
        total = total + q[:, k] * (bound + q[:, k].log())
    torch.testing.assert_close(method(x, torch.full_like(y, -1), noise)["loss"], total.mean())


@pytest.mark.parametrize("name", ["hamiltonian_vae", "msssim_vae", "info_vae", "rae_gp", "dip_vae"])
def test_codes_of_images_never_seen_tell_more_than_the_mean_image(name, few_digits, one_thread):
    net, budget = ("mlp", {"hidden": (128,), "activation": "relu"}), Train(epochs=30, batch_size=20, lr=3e-3)
    [fitted] = fit(lambda: make(name, net, latent_size=8), few_digits, budget, [0])
    x, mean = to_float(few_digits.test.images), to_float(few_digits.train.images).mean(0)
    with torch.no_grad():
        error = (fitted.model.generate(fitted.model.encode(x)) - x).square().mean()
    assert error < 0.85 * (mean - x).square().mean()


def test_images_are_made_from_codes_on_the_sphere():
    method = make("hyperspherical_vae", latent_size=3)
    z = normals(6, seed=2).view(2, 3).float()
    torch.testing.assert_close(method.generate(7 * z), method.generate(z / z.norm(dim=1, keepdim=True)))


# -- Hamiltonian steps


@pytest.fixture
def double_precision(monkeypatch):
    """Nets put out what they compute, float64 here."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def test_leapfrog_steps_have_the_log_determinant_of_their_tempering(double_precision):
    method, x = make("hamiltonian_vae", latent_size=3).double(), batch(n=1)[0].double()
    method.raw_step.data = normals(3)
    start = normals(6, seed=1)  # a position and a momentum

    def moved(state):
        return torch.cat(method.flow(x, state[None, :3], state[None, 3:]), 1)[0]

    jacobian = torch.autograd.functional.jacobian(moved, start)
    expected = 1.5 * torch.sigmoid(method.raw_tempering).log().item()  # (D/2) log β_0
    assert torch.linalg.slogdet(jacobian).logabsdet.item() == pytest.approx(expected, rel=1e-9)
    assert (moved(start) - start).abs().max() > 0.01


def test_leapfrog_steps_go_back_with_the_momentum_turned_round(double_precision):
    method, x = make("hamiltonian_vae", steps=1).double(), batch()[0].double()
    method.inverse_root = lambda k: torch.ones((), dtype=DOUBLE)  # tempering is not reversible
    z, rho = normals(6, 4), normals(6, 4, seed=1)
    there = method.flow(x, z, rho)
    back = method.flow(x, there[0], -there[1])
    torch.testing.assert_close(back[0], z)
    torch.testing.assert_close(back[1], -rho)


def test_the_gradient_of_the_energy_is_autograd_s(double_precision):
    method, x = make("hamiltonian_vae").double(), batch()[0].double()
    z = normals(6, 4).requires_grad_()
    energy = method.likelihood.nll(method.decode(z), x) - standard(z)
    (expected,) = torch.autograd.grad(energy.sum(), z)
    torch.testing.assert_close(method.gradient(x, z), expected)


def test_hamiltonian_steps_of_no_length_are_the_vae_with_a_sampled_kl(double_precision):
    method, origin, (x, y) = make("hamiltonian_vae").double(), make("vae").double(), batch()
    origin.net.load_state_dict(method.net.state_dict())
    method.raw_step.data.fill_(-float("inf"))
    eps, momentum = normals(6, 4), normals(6, 4, seed=1)
    q = origin.posterior(x.double())
    z = reparametrise(q.mean, q.log_var, eps)
    expected = torch.distributions.Normal(q.mean, (q.log_var / 2).exp()).log_prob(z).sum(1) - standard(z)
    terms = method(x.double(), y, (eps, momentum))
    torch.testing.assert_close(terms["rec"], origin(x.double(), y, eps)["rec"])
    torch.testing.assert_close(terms["kl"], expected.mean())


def test_hamiltonian_importance_weights_average_to_the_evidence():
    """E[exp(log weight)] = p(x) with positions and momenta: in the linear-Gaussian model in closed form."""
    toy, method = LinearGaussian(), make("hamiltonian_vae", latent_size=1, step_size=0.3).double()
    of_toy, n = toy.model(1), 100_000
    method.likelihood, method.decode, method.start = of_toy.likelihood, of_toy.decode, of_toy.posterior
    for value in (0.8, -1.7):
        x = torch.full((n, 1, 1, 1), value, dtype=DOUBLE)
        z, log_q = method.draw_code(x, None, (normals(n, 1), normals(n, 1, seed=1)))
        weights = (method.log_prior(z) - method.likelihood.nll(method.decode(z), x) - log_q).exp()
        expected = toy.log_px(torch.tensor(value, dtype=DOUBLE)).exp().item()
        assert weights.mean().item() == pytest.approx(expected, abs=4 * weights.std().item() / n**0.5)


@pytest.mark.parametrize("name", ["planar_vae", "iaf_vae", "hamiltonian_vae"])
def test_a_moved_draw_has_no_mean_and_variance_of_its_own(name):
    """Those before the flow were taken for the code's: mutual information and active units of another variable."""
    with pytest.raises(NotApplicable, match=r"q\(z\|x\) is a .* no mean and variance"):
        make(name).posterior(batch()[0])


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"step_size": 0.5}, {"tempering": 1.0}])
def test_impossible_hamiltonian_steps_are_refused(wrong):
    with pytest.raises(UsageError, match="hamiltonian_vae: steps >= 1"):
        make("hamiltonian_vae", **wrong)


# -- images compared by a critic


def test_vae_gan_has_the_gradients_of_its_three_losses(double_precision):
    """Each loss of the paper's algorithm in a pass of its own, nothing detached, for its own parameters."""
    method, (x, y) = make("vae_gan", gamma=0.3, weight=2.0).double(), batch()
    x, noise = x.double(), (normals(6, 4), normals(6, 4, seed=1))
    method(x, y, noise)["loss"].backward()
    found = {key: p.grad for key, p in method.named_parameters()}
    q = method.posterior(x)
    made, drawn = (method.generate(z) for z in (reparametrise(q.mean, q.log_var, noise[0]), noise[1]))
    (real, of_real), (features, of_made), (_, of_drawn) = map(method.critic, (x, made, drawn))
    likelihood = (features - real).square().sum(1).mean()  # λ/2 = 1
    log = torch.nn.functional.logsigmoid
    losses = {
        "net.encoder": gaussian_kl(q.mean, q.log_var).mean() + likelihood,
        "net.decoder": 0.3 * likelihood - log(of_made).mean() - log(of_drawn).mean(),
        "critic": -log(of_real).mean() - log(-of_made).mean() - log(-of_drawn).mean(),
    }
    for part, loss in losses.items():
        own = {key: p for key, p in method.named_parameters() if key.startswith(part)}
        gradients = torch.autograd.grad(loss, list(own.values()), retain_graph=True)
        for key, gradient in zip(own, gradients, strict=True):
            torch.testing.assert_close(found[key], gradient, rtol=1e-9, atol=1e-11)


def test_a_blind_critic_of_images_has_a_loss_of_3_log_2_and_compares_nothing():
    method = make("vae_gan")
    for parameter in method.critic.parameters():
        parameter.data.zero_()
    terms = objective(method, *batch())
    assert terms["critic"].item() == pytest.approx(3 * math.log(2))
    assert terms["features"].item() == 0
    torch.testing.assert_close(terms["loss"], terms["kl"] + terms["fool"] + terms["critic"])


def test_images_too_small_for_the_critic_of_vae_gan_are_refused():
    with pytest.raises(UsageError, match="a critic of 2 stages takes no images of 3×3"):
        make("vae_gan", shape=(1, 3, 3))


@pytest.mark.parametrize("name", ["vae_gan", "msssim_vae"])
def test_a_likelihood_that_is_not_trained_follows_and_moves_no_net(name):
    method, (x, y) = make(name, likelihood="learned_gaussian"), batch()
    terms = objective(method, x, y)
    (slope,) = torch.autograd.grad(terms["loss"], method.likelihood.raw_log_sigma, retain_graph=True)
    (expected,) = torch.autograd.grad(terms["rec"], method.likelihood.raw_log_sigma)
    assert torch.equal(slope, expected)
    assert slope > 0
    same = make(name, likelihood="gaussian")
    same.load_state_dict({k: v for k, v in method.state_dict().items() if not k.startswith("likelihood")})
    torch.testing.assert_close(objective(same, x, y)["loss"], terms["loss"])
