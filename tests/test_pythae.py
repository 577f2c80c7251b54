"""Values of pythae 0.1.2 at equal weights and noise, for each method that both have.

pythae's losses differ from ours by what its code does and its papers do not say. Each case says how a value is
translated; `DIFFERENT` names the methods that cannot be translated, and why. The table of methods reads both.

- Gaussian reconstruction: AE, WAE and RAE have Σ(x − x̂)², the VAEs ½ Σ(x − x̂)², both without the constant.
- The critic's loss of the adversarial AE is the sum of two cross-entropies; ours is their mean.
- The loss of IWAE, MIWAE and CIWAE is a surrogate: its gradient is that of the bound, its value is not.
- MIWAE's weights are normalised over the bounds and averaged over the draws: its samples are our `bounds`.
- VQ-VAE averages over numbers where ours sums; its running counts are smoothed by 1e-5.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from test_variants import batch, make

from bench.models.likelihoods import gaussian_kl, reparametrise
from bench.models.variants import hyperspherical_vae
from bench.models.variants.factor_vae import permuted

pythae = pytest.importorskip("pythae.models", reason="pythae is not installed: pip install '.[peers]'")
from pythae.models.base.base_utils import ModelOutput  # noqa: E402
from pythae.models.nn import BaseDecoder, BaseDiscriminator, BaseEncoder  # noqa: E402

CONSTANT = 32 * math.log(2 * math.pi)  #: P/2 log 2π of 8 × 8 pixels

#: method -> why its value cannot be compared
DIFFERENT = {
    "rae_gp": "pythae's penalty is the gradient of the reconstruction by the image, through the encoder; the paper's "
    "is that of the decoder by the code",
    "hamiltonian_vae": "pythae moves positions by the momentum before its half step, draws with softplus(log σ²) as σ "
    "and passes no gradient through the steps; energy gradient and tempering are compared alone",
    "msssim_vae": "pythae pads images with zeros, and multiplies the coarsest scale once for each finer one; the KL is "
    "compared alone",
}


@pytest.fixture(autouse=True)
def double_precision(monkeypatch):
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # pythae makes its labels and constants in the default type
    yield
    torch.set_default_dtype(before)


class Encoder(BaseEncoder):
    def __init__(self, model):
        super().__init__()
        self.model = model.net

    def forward(self, x):
        parts = self.model.encode(x).chunk(self.model.size.heads, dim=1)
        return ModelOutput(embedding=parts[0], log_covariance=parts[min(1, len(parts) - 1)])


class Decoder(BaseDecoder):
    """Mean images, or `raw` logits."""

    def __init__(self, model, raw=False):
        super().__init__()
        self.model, self.raw = model, raw

    def forward(self, z):
        made = self.model.decode(z)
        return ModelOutput(reconstruction=made if self.raw else made.sigmoid())


class Critic(BaseDiscriminator):
    """Ours, with a probability in the place of a logit; `depth` and layers as pythae asks for them."""

    depth = 1

    def __init__(self, critic):
        super().__init__()
        self.critic = critic

    def forward(self, x, output_layer_levels=None):
        found = self.critic(x)
        features, logits = found if isinstance(found, tuple) else (None, found)
        return ModelOutput(embedding=logits.sigmoid(), embedding_layer_1=features)


def peer(name, model, *, critic=None, raw=False, **config):
    kind, settings = getattr(pythae, name), getattr(pythae, f"{name}Config", None) or getattr(pythae, f"{name}_Config")
    size = model.net.size
    given = settings(input_dim=size.shape, latent_dim=size.latent_size, **config)
    rest = {} if critic is None else {"discriminator": critic}
    return kind(given, Encoder(model), Decoder(model, raw), **rest)


def setting(name, likelihood="bernoulli", **options):
    """A method, images and noise in float64, the method's terms and what both compute with."""
    model, (x, y) = make(name, likelihood=likelihood, **options).double(), batch()
    noise = model.draw(x, torch.Generator().manual_seed(0))
    noise = tuple(n.double() for n in noise) if isinstance(noise, tuple) else noise.double()
    return model, x.double(), y, noise, model(x.double(), y, noise)


def equal(ours, theirs, rtol=1e-9):
    torch.testing.assert_close(ours, theirs.reshape(ours.shape).to(ours.dtype), rtol=rtol, atol=1e-10)


def equal_gradients(model, ours, theirs):
    parameters = list(model.net.parameters())
    pairs = zip(*(torch.autograd.grad(loss, parameters) for loss in (ours, theirs)), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-8, atol=1e-11) for a, b in pairs)


def expanded(model, x, noise, shape):
    """μ, log σ², z and reconstructions as pythae repeats them over draws."""
    q = model.posterior(x)
    mean, log_var = (v.view(len(x), *[1] * (len(shape) - 2), -1).expand(shape) for v in q)
    z = reparametrise(mean, log_var, noise.reshape(shape))
    return model.generate(z.reshape(-1, shape[-1])).view(*shape[:-1], -1), x, mean, log_var, z


def ae():
    model, (x, y) = make("ae", likelihood="gaussian").double(), batch()
    equal(model(x.double(), y, ())["rec"] - CONSTANT, peer("AE", model)({"data": x.double()}).loss / 2)


def vae():
    model, x, _, eps, terms = setting("vae")
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    theirs = peer("VAE", model, reconstruction_loss="bce").loss_function(model.generate(z), x, q.mean, q.log_var, z)
    for ours, value in zip((terms["loss"], terms["rec"], terms["kl"]), theirs, strict=True):
        equal(ours, value)


def beta_vae():
    model, x, _, eps, terms = setting("beta_vae", beta=3.0)
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    found = peer("BetaVAE", model, beta=3.0, reconstruction_loss="bce")
    equal(terms["loss"], found.loss_function(model.generate(z), x, q.mean, q.log_var, z)[0])


def iwae():
    model, x, _, noise, terms = setting("iwae", samples=3)
    found = peer("IWAE", model, number_samples=3, reconstruction_loss="bce")
    loss, rec, kl = found.loss_function(*expanded(model, x, noise, noise.shape))
    equal(terms["rec"], rec)
    equal(terms["kl"], kl)
    equal_gradients(model, terms["loss"], loss)


def ciwae():
    model, x, _, noise, terms = setting("ciwae", samples=3, beta=0.3)
    found = peer("CIWAE", model, number_samples=3, beta=0.3, reconstruction_loss="bce")
    equal_gradients(model, terms["loss"], found.loss_function(*expanded(model, x, noise, noise.shape))[0])


def miwae():
    model, x, _, noise, terms = setting("miwae", samples=4, bounds=3)
    theirs = noise.view(len(x), 3, 4, -1).transpose(1, 2)  # (B, k, M, D)
    found = peer("MIWAE", model, number_gradient_estimates=4, number_samples=3, reconstruction_loss="bce")
    equal_gradients(model, terms["loss"], found.loss_function(*expanded(model, x, theirs, theirs.shape))[0])


def wae_mmd():
    for kernel in ("imq", "rbf"):
        model, x, _, prior, terms = setting("wae_mmd", "gaussian", kernel=kernel)
        z = model.encode(x)
        _, rec, mmd = peer("WAE_MMD", model, kernel_choice=kernel).loss_function(model.generate(z), x, z, prior)
        equal(terms["rec"] - CONSTANT, rec / 2)
        equal(terms["mmd"], mmd)


def info_vae():
    model, x, _, (eps, prior), terms = setting("info_vae", alpha=0.4, weight=7.0)
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    found = peer("INFOVAE_MMD", model, alpha=0.4, lbd=7.0, kernel_choice="imq", reconstruction_loss="bce")
    theirs = found.loss_function(model.generate(z), x, z, prior, q.mean, q.log_var)
    for name, value in zip(("loss", "rec", "kl", "mmd"), theirs, strict=True):
        equal(terms[name], value)


def rae_l2():
    model, (x, y) = make("rae_l2", likelihood="gaussian").double(), batch()
    terms, z = model(x.double(), y, ()), model.encode(x.double())
    _, rec, codes = peer("RAE_L2", model).loss_function(model.generate(z), x.double(), z)
    equal(terms["rec"] - CONSTANT, rec / 2)
    equal(terms["codes"], codes)


def factor_vae():
    model, x, _, (eps, order), terms = setting("factor_vae", gamma=5.0)
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    found = peer("FactorVAE", model, gamma=5.0, reconstruction_loss="bce")
    found.discriminator = model.critic
    given = model.generate(z), x, q.mean, q.log_var, z, permuted(z, order)
    rec, autoencoder, discriminator = found.loss_function(*given)
    equal(terms["rec"], rec)
    equal(terms["rec"] + terms["kl"] + 5 * terms["tc"], autoencoder)
    equal(terms["critic"], discriminator)


def beta_tc_vae():
    model, x, _, eps, terms = setting("beta_tc_vae", alpha=2.0, beta=3.0, gamma=0.5)
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    found = peer("BetaTCVAE", model, alpha=2.0, beta=3.0, gamma=0.5, use_mss=False, reconstruction_loss="bce")
    loss, *_ = found.loss_function(model.generate(z), x, q.mean, q.log_var, z, 1)  # a train set of 1: no constants
    equal(terms["loss"], loss)


def vamp_vae():
    model, x, _, eps, terms = setting("vamp_vae", components=5)
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    found = peer("VAMP", model, number_components=5, reconstruction_loss="bce")
    found.idle_input = model.pseudo_inputs.sigmoid().flatten(1)
    found.pseudo_inputs = torch.nn.Identity()
    for name, value in zip(("loss", "rec", "kl"), found.loss_function(model.generate(z), x, q.mean, q.log_var, z, 1),
                           strict=True):  # fmt: skip
        equal(terms[name], value, rtol=1e-6)  # log C in float32


def adversarial_ae():
    model, x, _, prior, terms = setting("adversarial_ae", weight=1.0)
    z = model.encode(x)
    found = peer("Adversarial_AE", model, critic=Critic(model.critic), deterministic_posterior=True,
                 adversarial_loss_scale=0.5, reconstruction_loss="bce")  # fmt: skip
    rec, autoencoder, discriminator = found.loss_function(model.generate(z), x, z, prior)
    equal(terms["rec"], rec)
    equal(terms["rec"] + terms["fool"] / 2, autoencoder)
    equal(2 * terms["critic"], discriminator)


def planar_vae():
    """pythae has one flow for all images, leaves u free and adds 1e-4 to |det|.

    Its maps are given the û of one image at a time; four flows differ by 1e-3 at most.
    """
    from pythae.models.normalizing_flows import PlanarFlow, PlanarFlowConfig

    model, x, _, eps, terms = setting("planar_vae", flows=4)
    mean, log_var, context = model.net.encode(x).chunk(3, dim=1)
    start = reparametrise(mean, log_var, eps)
    z, log_det = model.flow(start, context)
    for i in range(len(x)):
        one, sum_of_logs = start[i : i + 1], 0.0
        for u, w, b in model.maps(context[i : i + 1]):
            layer = PlanarFlow(PlanarFlowConfig(input_dim=(4,), activation="tanh")).double()
            layer.u.data, layer.w.data, layer.b.data = u.detach(), w.detach(), b.detach().unsqueeze(0)
            output = layer(one)
            one, sum_of_logs = output.out, sum_of_logs + output.log_abs_det_jac
        equal(z[i : i + 1], one)
        torch.testing.assert_close(log_det[i], sum_of_logs, rtol=0, atol=1e-3)
    found = peer("VAE_LinNF", model, reconstruction_loss="bce")
    theirs = found.loss_function(model.generate(z), x, mean, log_var, start, z, log_det)
    for name, value in zip(("loss", "rec", "kl"), theirs, strict=True):
        equal(terms[name], value)


def iaf_vae():
    """The terms at our flow: pythae's own has batch normalisation between its steps."""
    model, x, _, eps, terms = setting("iaf_vae")
    mean, log_var, context = model.net.encode(x).chunk(3, dim=1)
    start = reparametrise(mean, log_var, eps)
    z, log_det = model.flow(start, context)
    found = peer("VAE_IAF", model, reconstruction_loss="bce")
    theirs = found.loss_function(model.generate(z), x, mean, log_var, start, z, log_det)
    for name, value in zip(("loss", "rec", "kl"), theirs, strict=True):
        equal(terms[name], value)


def hyperspherical_vae_kl():
    model, x, *_ = setting("hyperspherical_vae")
    kappa = model.parameters_of(x)[1].detach()
    theirs = peer("SVAE", model)._compute_kl(4, kappa.unsqueeze(1))
    equal(hyperspherical_vae.vmf_kl(kappa, 4), theirs, rtol=1e-5)  # constants in float32


def vae_gan():
    """The features' error, the KL and the critic's loss without reconstructions, which pythae leaves out."""
    model, x, _, (eps, prior), terms = setting("vae_gan", weight=1.0)
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    found = peer("VAEGAN", model, critic=Critic(model.critic), reconstruction_layer=1)
    rec, encoder, _, discriminator, *_ = found.loss_function(model.generate(z), x, z, prior, q.mean, q.log_var)
    equal(terms["features"], rec)
    equal(terms["kl"] + terms["features"], encoder)
    of_made = F.softplus(model.critic(model.generate(z))[1]).mean()
    equal(terms["critic"] - of_made, discriminator)


def quantisers(kind, **options):
    """Ours, pythae's, codes z (B, 4) and our terms of them; in float32, as pythae's one-hot vectors are."""
    from pythae.models.vq_vae import vq_vae_utils

    torch.set_default_dtype(torch.float32)
    model, (x, y) = make("vq_vae", codes=7, dim=2, **options), batch()
    config = pythae.VQVAEConfig(num_embeddings=7, decay=0.9, use_ema=kind == "QuantizerEMA")
    config.embedding_dim = 2
    z = model.net.encoder(x).detach()
    model.net.encode = lambda images: z
    return model, getattr(vq_vae_utils, kind)(config), z, model(x, y, ())


def vq_vae():
    model, quantizer, z, terms = quantisers("Quantizer")
    quantizer.embeddings.weight.data = model.codebook.detach().clone()
    output = quantizer(z.view(-1, 1, 2, 2))
    close = {"rtol": 1e-5, "atol": 1e-6}
    torch.testing.assert_close(model.encode(z), output.quantized_vector.permute(0, 2, 3, 1).reshape(z.shape), **close)
    assert torch.equal(model.indices(z).flatten(), output.quantized_indices.flatten())
    torch.testing.assert_close(terms["codebook"] + 0.25 * terms["commitment"], 4 * output.loss, **close)


def vq_vae_running_means():
    model, quantizer, z, _ = quantisers("QuantizerEMA", decay=0.9)
    quantizer.embeddings.copy_(model.codebook)
    quantizer.ema_embed.copy_(model.codebook)
    quantizer.cluster_size.fill_(1.0)
    start = model.codebook.clone()
    with torch.no_grad():
        for _ in range(3):
            quantizer(z.view(-1, 1, 2, 2))
            model.follow(z, None, ())
    torch.testing.assert_close(model.codebook, quantizer.embeddings, rtol=1e-4, atol=1e-5)
    assert (model.codebook - start).abs().max() > 0.01


def hamiltonian_vae():
    model, x, _, (eps, _), _ = setting("hamiltonian_vae", tempering=0.3)
    found = peer("HVAE", model, raw=True, n_lf=3, beta_zero=0.3, reconstruction_loss="bce")
    z = eps.clone().requires_grad_()
    equal(model.gradient(x, z), found._dU_dz(z, x.flatten(1)))
    for k in (1, 2, 3):
        equal(1 / model.inverse_root(k), found._tempering(k, 3), rtol=1e-6)


class Nothing(torch.nn.Module):
    def forward(self, a, b):
        return torch.zeros(())


def msssim_vae():
    model, x, _, eps, terms = setting("msssim_vae")
    q = model.posterior(x)
    z = reparametrise(q.mean, q.log_var, eps)
    equal(terms["kl"], gaussian_kl(q.mean, q.log_var).mean())
    found = peer("MSSSIM_VAE", model)
    found.msssim = Nothing()
    equal(terms["kl"], found.loss_function(model.generate(z), x, q.mean, q.log_var, z)[2])


#: method -> pythae's class and the comparisons
COMPARED = {
    "ae": ("AE", [ae]),
    "vae": ("VAE", [vae]),
    "beta_vae": ("BetaVAE", [beta_vae]),
    "iwae": ("IWAE", [iwae]),
    "miwae": ("MIWAE", [miwae]),
    "ciwae": ("CIWAE", [ciwae]),
    "wae_mmd": ("WAE_MMD", [wae_mmd]),
    "info_vae": ("INFOVAE_MMD", [info_vae]),
    "rae_l2": ("RAE_L2", [rae_l2]),
    "factor_vae": ("FactorVAE", [factor_vae]),
    "beta_tc_vae": ("BetaTCVAE", [beta_tc_vae]),
    "vamp_vae": ("VAMP", [vamp_vae]),
    "adversarial_ae": ("Adversarial_AE", [adversarial_ae]),
    "planar_vae": ("VAE_LinNF", [planar_vae]),
    "iaf_vae": ("VAE_IAF", [iaf_vae]),
    "hyperspherical_vae": ("SVAE", [hyperspherical_vae_kl]),
    "vae_gan": ("VAEGAN", [vae_gan]),
    "vq_vae": ("VQVAE", [vq_vae, vq_vae_running_means]),
    "hamiltonian_vae": ("HVAE", [hamiltonian_vae]),
    "msssim_vae": ("MSSSIM_VAE", [msssim_vae]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", COMPARED)
def test_values_are_those_of_pythae(name):
    for compare in COMPARED[name][1]:
        compare()


@pytest.mark.filterwarnings("ignore")
def test_pythae_s_gradient_penalty_is_still_that_of_the_image():
    """If this fails, pythae has changed and `rae_gp` can be compared."""
    model, (x, _) = make("rae_gp", likelihood="gaussian").double(), batch()
    found = peer("RAE_GP", model)
    x = x.double().requires_grad_()
    z = model.encode(x)
    through_encoder = torch.autograd.grad(model.generate(z).sum(), x)[0].flatten(1).norm(dim=1) ** 2
    equal(through_encoder, found._compute_gp(model.generate(model.encode(x)), x))
