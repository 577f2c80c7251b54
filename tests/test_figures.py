"""What the figures of a cell show, number by number, and that their files stay small."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import cell, colour, cut
from PIL import Image

from bench.datasets import Data, Split
from bench.datasets._splits import to_float
from bench.errors import NotApplicable
from bench.evaluation import cell_figures, code_grids, heatmaps, image_files, image_grids
from bench.evaluation.context import EvaluationContext, quantise
from bench.evaluation.evaluate import evaluate, write
from bench.evaluation.feature_extractors import FeatureExtractors
from bench.models.corruptions import lost_pixels
from bench.models.seeding import initialising
from bench.suite import Choice, Evaluate
from bench.training import checkpoint

CPU = torch.device("cpu")
PLAIN = Evaluate(samplers=["prior"], n_samples=100, embed={"methods": [], "points": 60})
ALL_SAMPLERS = Evaluate(samplers=["prior", "gaussian", "gmm"], n_samples=100, embed={"methods": [], "points": 60})
REST = 70_000  #: bytes of a cell's record, curves and maps: 2,000 points on three maps take 47 kB of it


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def untrained(c, data):
    with initialising(c.seed):
        model = checkpoint.build(data.shape, c.variant, c.net, c.likelihood, c.latent_size, len(data.classes))
    return model.eval()


def scene(variant, data, net="mlp", model=None, **changes):
    c = cell(variant, net, **{"evaluate": PLAIN, **changes})
    return EvaluationContext(model or untrained(c, data), data, c, FeatureExtractors(), CPU)


def tile(picture, row, column, size=8, left=0):
    """One image out of a grid, (size, size, C)."""
    y, x = row * (size + image_files.GAP), left + column * (size + image_files.GAP)
    return picture[y : y + size, x : x + size].astype(int)


def image(tensor):
    """(1, C, H, W) in [0, 1] as (H, W, C) of 0 to 255."""
    return quantise(tensor)[0].permute(1, 2, 0).numpy().astype(int)


def near(picture, expected):
    """Equal up to rounding: the same codes in another batch may differ in their last bits."""
    return np.abs(picture - expected).max() <= 1


def through(made, index):
    x, y = to_float(made.data.test.images[index : index + 1]), made.data.test.labels[index : index + 1]
    return image(made.model.generate(made.model.encode(x, y), y))


# -- the plane of codes


def test_a_corner_of_the_manifold_is_what_its_quantiles_decode_to(few_digits):
    made = scene("vae", few_digits)
    picture = code_grids.manifold(made, side=5)
    assert picture.shape == (45, 45, 1)
    low, high = torch.special.ndtri(torch.tensor([0.1, 0.9], dtype=torch.float64)).tolist()
    places = {(0, 0): (low, high), (4, 4): (high, low), (4, 0): (low, low), (2, 2): (0.0, 0.0)}
    for (row, column), code in places.items():
        assert near(tile(picture, row, column), image(made.model.generate(torch.tensor([code]))))


def test_the_manifold_of_a_deterministic_code_spans_the_middle_of_its_test_codes(few_digits):
    made = scene("ae", few_digits)
    picture = code_grids.manifold(made, side=3)
    low, high = np.quantile(made.get("codes").numpy(), code_grids.MIDDLE, axis=0)
    corner = torch.tensor([[low[0], high[1]]], dtype=torch.float32)
    assert near(tile(picture, 0, 0), image(made.model.generate(corner)))
    assert near(tile(picture, 1, 1), image(made.model.generate(torch.tensor((low + high)[None] / 2).float())))


@pytest.mark.parametrize(("variant", "size"), [("vae", 3), ("mean_image", 2)])
def test_without_a_plane_of_codes_there_is_no_manifold(few_digits, variant, size):
    with pytest.raises(NotApplicable, match=r"no plane|no code"):
        code_grids.manifold(scene(variant, few_digits, latent_size=size))


def test_a_manifold_of_a_conditional_model_is_that_of_the_label_it_is_given(few_digits):
    made = scene("conditional_vae", few_digits)
    code, label = torch.zeros(1, 2), torch.tensor([7])
    assert near(tile(code_grids.manifold(made, 1, 7), 0, 0), image(made.model.generate(code, label)))


# -- interpolations


def test_the_strip_has_real_images_at_its_ends_and_the_reconstructions_beside_them(few_digits):
    made = scene("ae", few_digits)
    picture, (first, second) = code_grids.interpolations(made), code_grids.pairs(made)
    left, right = 9 + 2, 9 + 2 + 9 * code_grids.STEPS + 2
    assert picture.shape == (5 * 9, right + 9, 1)
    for row, (a, b) in enumerate(zip(first, second, strict=True)):
        assert np.array_equal(tile(picture, row, 0), made.data.test.images[a].permute(1, 2, 0).numpy())
        assert np.array_equal(tile(picture, row, 0, left=right), made.data.test.images[b].permute(1, 2, 0).numpy())
        assert near(tile(picture, row, 0, left=left), through(made, a))
        assert near(tile(picture, row, code_grids.STEPS - 1, left=left), through(made, b))


def test_half_way_is_the_mean_of_both_codes(few_digits):
    made = scene("vae", few_digits)
    [a], [b] = code_grids.pairs(made, n=1)
    codes = made.model.encode(to_float(few_digits.test.images[[a, b]]))
    middle = tile(code_grids.interpolations(made, n=1), 0, code_grids.STEPS // 2, left=11)
    assert near(middle, image(made.model.generate(codes.mean(0, keepdim=True))))


def test_the_frames_go_there_and_back_over_the_images_of_the_strip(few_digits):
    made = scene("vae", few_digits)
    frames, strip = code_grids.interpolations_moving(made), code_grids.interpolations(made)
    assert frames.shape == (16, 9, 5 * 9, 1)
    for step in range(1, 8):
        assert np.array_equal(frames[step], frames[16 - step])
    for step in (0, 3, 8):
        for pair in range(5):
            assert np.array_equal(tile(frames[step], 0, pair), tile(strip, pair, step, left=11))


def test_pairs_are_of_two_classes_and_of_one_where_the_decoder_is_given_the_label(few_digits):
    labels = few_digits.test.labels.numpy()
    first, second = code_grids.pairs(scene("vae", few_digits))
    assert labels[first].tolist() == [0, 2, 4, 6, 8]
    assert labels[second].tolist() == [1, 3, 5, 7, 9]
    first, second = code_grids.pairs(scene("conditional_vae", few_digits))
    assert labels[first].tolist() == labels[second].tolist() == [0, 1, 2, 3, 4]
    assert (first != second).all()
    first, second = code_grids.pairs(scene("ae", few_digits), n=2, label=7)
    assert (labels[[*first, *second]] == 7).all()
    assert len({*first, *second}) == 4


def test_another_seed_has_other_pairs_and_the_same_seed_the_same(few_digits):
    made = scene("vae", few_digits)
    again = [np.stack(code_grids.pairs(made, seed=seed)) for seed in (1, 1, 2)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])


def test_without_labels_or_with_one_image_figures_do_what_they_can(few_digits):
    bare = Data("bare", Split(few_digits.train.images, None), Split(few_digits.test.images, None), (), "")
    made = scene("vae", bare)
    assert image_grids.shown(bare) == list(range(10))
    assert [list(side) for side in code_grids.pairs(made, 2)] == [[0, 2], [1, 3]]
    assert image_grids.reconstructions(made).shape == (18, 90, 1)
    lone = Data("one", few_digits.train, cut(few_digits.test, 1), few_digits.classes, "")
    with pytest.raises(NotApplicable, match="no two test images"):
        code_grids.interpolations(scene("vae", lone))
    with pytest.raises(NotApplicable, match="no code"):
        code_grids.interpolations(scene("mean_image", few_digits, None))


# -- restored


def test_a_restored_row_shows_the_image_its_damage_and_what_is_made_of_the_damaged(few_digits):
    made = scene("ae", few_digits)
    picture = image_grids.restored(made, "square_40")
    lost = lost_pixels("square_40", len(few_digits.test), 8, 8).numpy()
    for column, index in enumerate(image_grids.shown(few_digits)):
        clean, hole = few_digits.test.images[index, 0].numpy(), lost[index, 0]
        assert np.array_equal(tile(picture, 0, column)[..., 0], clean)
        assert np.array_equal(tile(picture, 1, column)[..., 0], np.where(hole, 0, clean))
        damaged = to_float(torch.from_numpy(np.where(hole, 0, clean)))[None, None]
        assert near(tile(picture, 2, column), image(made.model.generate(made.model.encode(damaged))))


@pytest.mark.parametrize(("variant", "options"), [("denoising_ae", {"dropout": 1.0}), ("completion_ae", {"side": 1.0})])
def test_what_a_model_was_trained_to_undo_is_its_own_damage(few_digits, variant, options):
    """With everything lost the encoder sees black, and all images are restored to the same one."""
    damaging = replace(cell(variant), variant=Choice(variant, options))
    made = scene(variant, few_digits, model=untrained(damaging, few_digits))
    picture = image_grids.restored_training(made)
    black = image(made.model.generate(made.model.encode(torch.zeros(1, 1, 8, 8))))
    for column in range(10):
        assert tile(picture, 0, column).max() > 0
        assert tile(picture, 1, column).max() == 0
        assert near(tile(picture, 2, column), black)
    assert "encode" not in made.model.net.__dict__  # what looked on is gone


@pytest.mark.parametrize(
    ("variant", "net"),
    [("ae", "mlp"), ("vae", "mlp"), ("contractive_ae", "mlp"), ("conditional_ae", "mlp"),
     ("semi_supervised_vae", "mlp"), ("linear_ae", None), ("pca", None), ("mean_image", None)],
)  # fmt: skip
def test_a_model_that_is_trained_on_whole_images_has_no_damage_of_its_own(few_digits, variant, net):
    with pytest.raises(NotApplicable, match="trained on uncorrupted images"):
        image_grids.restored_training(scene(variant, few_digits, net))


# -- by label


def test_each_row_of_a_conditional_model_has_its_label_and_the_same_codes(few_digits):
    made = scene("conditional_vae", few_digits)
    shade = torch.linspace(0, 1, 10)
    made.model.generate = lambda z, y: (shade[y] + 0.01 * z[:, 0].clamp(-1, 1))[:, None, None, None].expand(-1, 1, 8, 8)
    picture = image_grids.by_label(made, "prior")
    assert picture.shape == (90, 72, 1)
    codes = made.get("drawn_codes", "prior")[:8, 0].clamp(-1, 1)
    for row in range(10):
        shown = [tile(picture, row, column).mean() / 255 for column in range(8)]
        assert shown == pytest.approx((shade[row] + 0.01 * codes).clamp(0, 1).tolist(), abs=0.003)


def test_each_row_of_a_classifying_model_holds_what_its_classifier_calls_so(few_digits):
    """Label 1 for codes to the right, 0 for codes to the left: bright and dark images."""
    made = scene("semi_supervised_vae", few_digits)
    made.model.classifier.weight.zero_()
    made.model.classifier.weight[:2, 0] = torch.tensor([-1.0, 1.0])
    made.model.classifier.bias.copy_(torch.tensor([0.0, 0.0] + 8 * [-100.0]))
    made.model.generate = lambda z, y=None: (z[:, :1, None, None] > 0).float().expand(-1, 1, 8, 8)
    picture = image_grids.by_label(made, "prior")
    for column in range(8):
        assert (tile(picture, 0, column) == 0).all()
        assert (tile(picture, 1, column) == 255).all()
        assert (tile(picture, 9, column) == image_files.GREY).all()  # a class that no code is given


def test_a_model_without_labels_has_no_rows_of_them(few_digits):
    with pytest.raises(NotApplicable, match="gives its samples no label"):
        image_grids.by_label(scene("vae", few_digits), "prior")


def test_labels_are_shown_for_the_prior_of_a_vae_and_the_fitted_codes_of_an_autoencoder(few_digits):
    for variant, sampler in (("conditional_vae", "prior"), ("conditional_ae", "gmm")):
        made = scene(variant, few_digits, evaluate=ALL_SAMPLERS)
        assert cell_figures.label_sampler(made.model, ALL_SAMPLERS.samplers) == sampler
        assert f"by_label_{sampler}" in cell_figures.figures_of(made, ())


# -- linear maps


def heatmap(matrix, clipped=False):
    return heatmaps.identity(SimpleNamespace(get=lambda name: matrix), clipped).astype(int)


@pytest.mark.parametrize("size", [64, 784, 3072])
@pytest.mark.parametrize("clipped", [False, True])
def test_an_identity_is_a_diagonal_in_the_strongest_colour(size, clipped):
    picture = heatmap(torch.eye(size), clipped)
    width = len(picture)
    assert width == (size if size <= 400 else -(-size // -(-size // 400)))
    anchors = heatmaps.SEQUENTIAL if clipped else heatmaps.DIVERGING
    nothing = anchors[0] if clipped else anchors[2]
    diagonal = np.eye(width, dtype=bool)
    assert (picture[diagonal] == anchors[-1]).all()
    assert (picture[~diagonal] == nothing).all()


def test_negative_entries_are_blue_and_vanish_when_clipped():
    matrix = torch.diag(torch.tensor([1.0, -1.0, 0.5]))
    plain, clipped = heatmap(matrix), heatmap(matrix, clipped=True)
    assert tuple(plain[1, 1]) == heatmaps.DIVERGING[0]
    assert tuple(plain[0, 1]) == heatmaps.DIVERGING[2]
    assert tuple(clipped[1, 1]) == heatmaps.SEQUENTIAL[0]
    assert tuple(clipped[0, 0]) == heatmaps.SEQUENTIAL[-1]


def test_blocks_that_do_not_divide_are_means_all_the_same():
    matrix = np.arange(25.0).reshape(5, 5)
    means = heatmaps.block_means(matrix, 3)
    assert means.shape == (3, 3)
    assert means[0, 0] == matrix[:2, :2].mean()
    assert means[2, 2] == matrix[4, 4]
    assert means[1, 2] == matrix[2:4, 4].mean()


# -- which figures a cell has


def test_a_cell_has_the_figures_of_its_kind_and_those_that_are_there_are_not_made_again(few_digits):
    c = cell("vae", evaluate=PLAIN)
    names = {"reconstructions", "samples_prior", "manifold", "interpolations", "interpolations_moving"}
    corrupted = {"restored_dropout_25", "restored_dropout_50", "restored_square_40"}
    rulers, model = FeatureExtractors(), untrained(c, few_digits)
    assert set(evaluate(model, few_digits, c, ("mse",), rulers).pictures) == names
    assert set(evaluate(model, few_digits, c, ("corrupted_mse",), rulers).pictures) == names | corrupted
    rest = evaluate(model, few_digits, c, ("mse",), rulers, present=names - {"manifold"}).pictures
    assert set(rest) == {"manifold"}
    c = cell("linear_ae", None, evaluate=PLAIN, latent_size=64)
    linear = set(evaluate(untrained(c, few_digits), few_digits, c, ("mse",), rulers).pictures)
    assert linear == (names | {"identity", "identity_clipped"}) - {"manifold"}


def test_samples_are_those_that_the_metrics_see(few_digits):
    made = scene("conditional_vae", few_digits)
    picture, whole = image_grids.samples(made, "prior", 10), made.get("samples", "prior")
    assert picture.shape == (27, 36, 1)  # three rows of four
    for index in range(10):
        assert near(tile(picture, index // 4, index % 4), whole[index].permute(1, 2, 0).numpy().astype(int))
    assert (tile(picture, 2, 2) == image_files.GREY).all()


def test_drawing_leaves_no_trace_in_what_is_drawn_later(few_digits):
    c, state = cell("denoising_ae", evaluate=PLAIN), torch.get_rng_state()
    model = untrained(c, few_digits)
    first, second = (evaluate(model, few_digits, c, ("mse",), FeatureExtractors()).pictures for _ in range(2))
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert torch.equal(state, torch.get_rng_state())


# -- files


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def opened(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize("channels", [1, 3])
def test_without_a_budget_a_picture_is_exact(channels):
    picture = noise(30, 40, channels)
    for suffix in (".png", ".webp"):
        assert (opened(image_files.exact(picture, suffix)) == picture).all()
    few = picture // 64 * 64
    suffix, content = image_files.encode(few)
    assert suffix == ".png"
    assert (opened(content) == few).all()


def test_colours_of_a_heatmap_are_kept_exactly_in_a_palette():
    few = np.repeat(noise(60, 60, 1) // 64 * 60, 3, axis=2) + np.array([0, 20, 60], np.uint8)
    suffix, content = image_files.encode(few)
    assert (opened(content) == few).all()
    with Image.open(io.BytesIO(content)) as image:
        assert (suffix, image.mode) == (".png", "P")


def test_a_grey_picture_over_its_budget_has_sixteen_greys_before_it_becomes_lossy():
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))[..., None]
    ramp = np.roll(ramp, np.random.default_rng(0).integers(0, 256), 1) ^ (noise(64, 256, 1) & 3)
    exact = len(image_files.encode(ramp)[1])
    suffix, content = image_files.encode(ramp, exact * 9 // 10)
    assert suffix == ".png"
    assert len(content) < exact
    assert np.abs(opened(content)[..., :1].astype(int) - ramp).max() <= 16
    assert len(np.unique(opened(content))) <= 16


def test_a_smaller_budget_gives_a_coarser_encoding():
    y, x = (axis[..., None] / 9 for axis in np.mgrid[:150, :200])
    waves = (128 + 60 * np.sin(x + np.arange(3)) + 60 * np.cos(y)).astype(np.uint8)
    errors = []
    for budget in (200_000, 6_000, 2_000, 800):
        _, content = image_files.encode(waves, budget)
        assert len(content) <= budget
        with Image.open(io.BytesIO(content)) as image:
            shown = np.asarray(image.convert("RGB").resize((200, 150)))
        errors.append(np.square(shown.astype(float) - waves).mean())
    assert errors[0] == 0
    assert errors == sorted(errors)


@pytest.mark.parametrize("shape", [(388, 388, 3), (388, 388, 1), (970, 388, 3), (16, 33, 99, 3), (16, 29, 145, 1)])
def test_noise_is_made_to_fit_and_twice_the_same(shape):
    picture = noise(*shape)
    suffix, content = image_files.encode(picture, 7_000)
    assert len(content) <= 7_000
    assert suffix == (".gif" if len(shape) == 4 else ".webp")
    assert image_files.encode(picture, 7_000) == (suffix, content)


def test_a_gif_has_a_frame_each_turns_slowly_and_never_ends():
    levels = np.linspace(0, 255, 9).astype(np.uint8)
    frames = np.stack([np.full((8, 8, 1), level) for level in [*levels, *levels[-2:0:-1]]])
    with Image.open(io.BytesIO(image_files.encode(frames, 5_000)[1])) as film:
        assert film.n_frames == 16
        assert film.info["loop"] == 0
        stands, shades = [], []
        for index in range(16):
            film.seek(index)
            stands.append(film.info["duration"])
            shades.append(np.asarray(film.convert("L")).mean())
    assert stands[0] == stands[8] > stands[1] == stands[7]
    assert shades == pytest.approx([frame.mean() for frame in frames], abs=3)


def test_a_picture_takes_the_place_of_one_in_another_format_and_is_left_alone_where_it_is_the_same(tmp_path):
    (tmp_path / "x.png").write_bytes(b"old")
    path = image_files.save("x", noise(200, 200, 3), tmp_path, 7_000)
    assert [p.name for p in tmp_path.iterdir()] == ["x.webp"]
    before = path.stat().st_mtime_ns
    assert image_files.save("x", noise(200, 200, 3), tmp_path, 7_000) == path
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("shape", "variant"),
    [((1, 28), "conditional_vae"), ((1, 28), "denoising_ae"), ((3, 32), "conditional_vae"), ((3, 96), "denoising_ae")],
)
def test_all_pictures_of_a_cell_leave_room_for_its_record_also_where_images_are_noise(tmp_path, shape, variant):
    channels, size = shape
    data = colour(24, size, channels)
    made = scene(variant, data, "conv", evaluate=ALL_SAMPLERS)
    made.model.generate = lambda z, y=None: torch.rand(len(z), channels, size, size, generator=torch.Generator())
    names = []
    for name, draw in cell_figures.figures_of(made, ("corrupted_mse",)).items():
        try:
            image_files.save(name, draw(), tmp_path, cell_figures.byte_budget(name))
        except NotApplicable:
            continue
        names.append(name)
    assert {"manifold", "interpolations_moving", "samples_gmm", "restored_square_40"} < set(names)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 200_000 - REST


def test_an_evaluation_writes_the_same_bytes_twice(few_digits, tmp_path):
    c = cell("semi_supervised_vae", evaluate=PLAIN)
    for folder in ("a", "b"):
        found = evaluate(untrained(c, few_digits), few_digits, c, ("mse",), FeatureExtractors())
        write(found, tmp_path / folder)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / f).iterdir() if p.suffix != ".npz"} for f in ("a", "b"))
    assert one == two
    assert {"by_label_prior.png", "interpolations_moving.gif"} < one.keys()
