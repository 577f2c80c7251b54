"""The site: complete, escaped, offline, the same bytes for the same records, and quick to build again."""

import json
import re
import shlex
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import synthetic
from bench.report.charts.colours import LIGHT, colours, hue
from bench.report.charts.curves import curves
from bench.report.charts.maps import code_map
from bench.report.charts.scales import ticks
from bench.report.data import load
from bench.report.pages import published as published_page
from bench.report.pages.findings import beside_published
from bench.report.pages.tables import table_view
from bench.report.site import environment
from bench.report.tables.build import build
from bench.report.tables.published import published

from bench import registry, report
from bench.errors import UsageError

REFERENCES = [
    {"variant": "vae", "dataset": "mnist", "metric": "elbo", "value": -105.6, "latent_size": 2, "net": "mlp",
     "source": "A paper, https://example.org/paper", "protocol": "ten epochs", "comparable": True,
     "because": "another split"},
    {"variant": "vae", "dataset": "mnist", "metric": "mse", "value": 0.5, "source": "B paper",
     "protocol": "cropped", "comparable": False, "because": "their images are cropped"},
]  # fmt: skip


def outcome(cell):
    """One failed and one missing seed; everything else done."""
    if cell["label"] == "vae" and cell["net"] == "conv" and cell["seed"] == 2:
        return "failed", "out of memory"
    return (None, None) if cell["label"] == "ae" and cell["seed"] == 2 else ("done", None)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    synthetic.write(root, "demo", outcome, points=60, sizes=(2,), fields={"references": REFERENCES})
    synthetic.write(root, "other", points=30, sizes=(2,), labels=("vae",), nets=("mlp",))
    return root


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    return report.build(results, tmp_path_factory.mktemp("site")).parent


class Page(HTMLParser):
    """The tags of a page as (name, attributes), and its visible text."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += f"{data} "


def pages(site):
    return [(path, Page(path)) for path in sorted(site.rglob("*.html"))]


def contents(site):
    return {p.relative_to(site): p.read_bytes() for p in site.rglob("*") if p.is_file()}


def test_every_suite_and_every_settled_cell_has_its_page(site, results):
    records = list(results.glob("*/*/record.json"))
    assert len(records) == 15
    for record in records:
        suite, cell = record.parts[-3:-1]
        assert (site / "suites" / suite / cell / "index.html").is_file()
    assert {"demo", "other"} == {p.name for p in (site / "suites").iterdir()}


def test_the_same_records_give_the_same_bytes(site, results, tmp_path):
    report.build(results, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(site)


def test_every_page_forbids_all_but_its_own_files(site):
    for path, page in pages(site):
        policies = [a["content"] for t, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"]
        assert len(policies) == 1, path
        assert policies[0].startswith("default-src 'none'; style-src 'self'; script-src 'self'")
        assert "unsafe" not in policies[0]
        assert not [a for _, a in page.tags if "style" in a or any(name.startswith("on") for name in a)]


def test_nothing_is_loaded_from_outside_and_links_outside_send_no_referrer(site):
    for path, page in pages(site):
        for tag, attributes in page.tags:
            outside = [a for a in ("src", "href") if re.match(r"[a-z]+:|//", attributes.get(a) or "")]
            if not outside or attributes["href" if "href" in outside else "src"] == "data:,":
                continue
            assert tag == "a", (path, attributes)
            assert attributes["rel"] == "noreferrer"
    for path in site.rglob("*.svg"):
        assert not re.search(r"(?:href|src|url\()[^>]*https?:", path.read_text(encoding="utf-8"))


def test_every_link_and_picture_of_the_site_exists(site):
    for path, page in pages(site):
        ids = {a["id"] for _, a in page.tags if "id" in a}
        for _, attributes in page.tags:
            for target in (attributes.get("href"), attributes.get("src")):
                if not target or re.match(r"[a-z]+:", target):
                    continue
                file, _, anchor = target.partition("#")
                assert (path.parent / file).exists(), (path, target)
                assert file or anchor in ids, (path, target)


def test_every_picture_says_what_it_is_and_loads_when_it_scrolls_into_view(site):
    for path, page in pages(site):
        for tag, attributes in page.tags:
            if tag == "img":
                assert attributes["alt"], path
                assert attributes["loading"] == "lazy"
                assert int(attributes["width"]) > 0


def test_a_caption_says_variant_net_dataset_latent_size_and_seed(site):
    page = Page(site / "suites" / "demo" / "index.html")
    captions = [a["data-caption"] for t, a in page.tags if t == "a" and "data-caption" in a]
    assert "Reconstructions: VAE, Conv, MNIST, d = 2, seed 0" in captions
    assert "Samples, codes from the GMM: AE, MLP, MNIST, d = 2, seed 0" in captions
    assert "t-SNE of the codes: PCA, MNIST, d = 2, seed 0" in captions
    assert "Codes: PCA, MNIST, d = 2, seed 0" in captions


def test_a_map_of_more_than_two_dimensions_is_called_what_it_is(tmp_path):
    synthetic.write(tmp_path / "results", "demo", points=20, sizes=(1, 16), labels=("vae",), nets=("mlp",), seeds=1,
                    pca=False)  # fmt: skip
    site = report.build(tmp_path / "results", tmp_path / "site").parent
    captions = [a["data-caption"] for _, page in pages(site) for t, a in page.tags if t == "a" and "data-caption" in a]
    of_codes = [c.partition(":") for c in captions if c.startswith(("Codes", "First two"))]
    assert {(what, where.split(", ")[3]) for what, _, where in of_codes} == {
        ("Codes", "d = 1"), ("First two principal components of the codes", "d = 16"),
    }  # fmt: skip


def test_what_is_not_there_is_shown_with_its_reason(site):
    text = " ".join(Page(site / "suites" / "demo" / "index.html").text.split())
    for words in ("2/3 seeds", "failed: out of memory", "not run yet", "n/a: Inception weights not found"):
        assert words in text
    assert "n/a: a deterministic code has no ELBO" in text


def test_rows_that_have_not_run_are_named_below_a_table_and_not_shown_in_it(tmp_path):
    synthetic.write(tmp_path, "demo", lambda cell: ("done" if cell["label"] == "ae" else None, None), artefacts=False,
                    labels=("ae", "vae"), nets=("mlp",), sizes=(2,), pca=False)  # fmt: skip
    suite = load(tmp_path, "demo")
    view = table_view(build(suite, "mse")[0], "mse")
    assert [row["heads"][0] for row in view["rows"]] == ["AE"]
    assert view["notes"][0] == "Not run yet: VAE."


def test_published_values_stand_beside_the_obtained_and_say_if_they_compare(site):
    text = " ".join(Page(site / "suites" / "demo" / "index.html").text.split())
    section = text.split("Published beside obtained")[-1]
    assert "−105.6" in section
    assert "; differences: another split" in section
    assert "comparable because another split" not in section
    assert "not comparable because their images are cropped" in section
    assert "ten epochs" in section


def test_a_page_of_its_own_has_the_published_values_of_all_suites_and_counts_those_that_agree(tmp_path):
    mean = obtained(tmp_path)
    beside(tmp_path, mean - 0.4, tolerance=0.5)
    page = published_page.files(environment(), [load(tmp_path, "demo")])["published.html"].decode()
    text = " ".join(re.sub("<[^>]+>", " ", page).split())
    assert "1 of 1 published values have an obtained one beside them" in text
    assert "1 are comparable and have a tolerance, and 1 of these agree" in text


def test_a_suite_of_one_configuration_finds_what_it_obtained_beside_published_values(tmp_path):
    mean = obtained(tmp_path)
    good, other = REFERENCES[0] | {"value": mean - 0.4, "tolerance": 0.5}, REFERENCES[1] | {"comparable": True}
    synthetic.write(tmp_path, "demo", labels=("vae",), nets=("mlp",), sizes=(2,), pca=False, artefacts=False,
                    fields={"references": [good, other]})  # fmt: skip
    elbo, mse = published(load(tmp_path, "demo"))
    expected = [
        f"The ELBO of VAE on MNIST with d = 2 is {elbo['obtained']} nats per image; "
        f"published: {elbo['published']} (agrees, ≤ 0.5).",
        f"The MSE of VAE on MNIST with d = 2 is {mse['obtained']} {mse['unit']}; published: 0.5.",
    ]
    assert beside_published(load(tmp_path, "demo")) == expected
    site = report.build(tmp_path, tmp_path / "site").parent
    for page in ("index.html", "suites/demo/index.html"):
        text = " ".join(Page(site / page).text.split())
        assert [sentence for sentence in expected if sentence not in text] == []
    card = (site / "index.html").read_text().split('id="suites-list"')[-1]
    assert " ".join(expected) in card


@pytest.mark.parametrize(("off", "agree"), [(0.4, 1), (0.6, 0)])
def test_a_suite_that_compares_methods_says_first_how_many_published_values_agree(tmp_path, off, agree):
    reference = REFERENCES[0] | {"value": obtained(tmp_path) - off, "tolerance": 0.5}
    synthetic.write(tmp_path, "demo", labels=("ae", "vae"), nets=("mlp",), sizes=(2,), pca=False, artefacts=False,
                    fields={"references": [reference]})  # fmt: skip
    site = report.build(tmp_path, tmp_path / "site").parent
    said = f"{agree} of 1 comparable published values agree within the suite's tolerance."
    page = " ".join(Page(site / "suites/demo/index.html").text.split())
    assert page.index(said) < page.index("has the lowest MSE")


def test_what_is_not_comparable_is_no_finding(tmp_path):
    beside(tmp_path, -105.6, comparable=False, because="their images are cropped")
    assert beside_published(load(tmp_path, "demo")) == []


def test_suites_without_published_values_have_no_such_page(tmp_path):
    synthetic.write(
        tmp_path, "demo", labels=("vae",), nets=("mlp",), sizes=(2,), artefacts=False, fields={"references": []}
    )
    assert published_page.files(environment(), [load(tmp_path, "demo")]) == {}


def beside(root, value, status=None, overrides=(), **reference):
    """The one published value of a small suite, beside what was obtained."""
    entry = REFERENCES[0] | {"value": value, "because": None} | reference
    fields = {"references": [entry], "overrides": list(overrides)}
    synthetic.write(root, "demo", status, labels=("vae",), nets=("mlp",), sizes=(2,), pca=False, artefacts=False,
                    fields=fields)  # fmt: skip
    [view] = published(load(root, "demo"))
    return view


def obtained(root):
    """The mean that a small suite obtains."""
    beside(root, 0.0)
    found = json.loads(report.table(root, "demo", "json", "elbo"))
    return found["tables"][0]["rows"][0]["cells"][0]["mean"]


def test_within_the_tolerance_it_agrees_and_beyond_it_differs(tmp_path):
    mean = obtained(tmp_path)
    inside = beside(tmp_path, mean - 0.4, tolerance=0.5)
    assert (inside["verdict"], inside["tolerance"], inside["difference"]) == ("agrees", "≤ 0.5", "+0.4")
    outside = beside(tmp_path, mean + 0.6, tolerance=0.5)
    assert (outside["verdict"], outside["tolerance"], outside["difference"]) == ("differs", "> 0.5", "−0.6")


def test_without_a_tolerance_nothing_is_said_to_agree(tmp_path):
    view = beside(tmp_path, -105.6)
    assert (view["comparable"], view["verdict"]) == (True, "")
    assert view["difference"]


@pytest.mark.parametrize("override", ["train.epochs=1", "evaluate.n_samples=10", "grid[0].seeds=3", "grid.seeds=3"])
def test_a_suite_run_otherwise_than_written_is_not_comparable(tmp_path, override):
    view = beside(tmp_path, -105.6, overrides=[override], tolerance=1000.0)
    assert (view["comparable"], view["because"]) == (False, f"run with --set {override}")
    assert (view["verdict"], view["difference"]) == ("", "")


def test_an_override_that_changes_no_number_leaves_it_comparable(tmp_path):
    assert beside(tmp_path, -105.6, overrides=["title=Train and evaluate"])["comparable"]


def test_with_a_seed_missing_it_is_not_comparable(tmp_path):
    view = beside(tmp_path, -105.6, lambda cell: (None, None) if cell["seed"] == 2 else ("done", None))
    assert (view["comparable"], view["because"]) == (False, "2 of 3 seeds")


def test_a_cell_page_says_everything_and_how_to_make_it_again(site):
    path = sorted((site / "suites" / "demo").glob("*/index.html"))[0]
    page = Page(path)
    text = " ".join(page.text.split())
    command = re.search(r"python -m bench run suites/demo.yaml --only dataset=mnist.*? --force", text)
    assert command
    assert "--only seed=" in command.group()
    for words in ("train.lr 0.001", "git 0123456789abcdef", "versions.torch 2.11.0", "created 2026-03-01"):
        assert words in text


def test_the_first_page_names_the_suite_that_answers_and_how_far_it_is(tmp_path):
    partly = lambda cell: (None, None) if cell["net"] == "conv" else ("done", None)  # noqa: E731
    synthetic.write(tmp_path, "demo", partly, artefacts=False)
    site = report.build(tmp_path, tmp_path / "site").parent
    above = (site / "index.html").read_text().split('id="board"')[0]
    text = " ".join(re.sub("<[^>]+>", "", above).split())
    assert "Suite: Which autoencoder, and how many latent dimensions? (14 of 26 cells done)." in text


def test_a_cell_page_has_the_elbo_of_the_images_of_the_importance_weighted_bound(tmp_path):
    record = synthetic.make_record(synthetic.make_cell(), "demo")
    bound = {"value": -92.0, "unit": "nats per image", "better": "higher", "n": 4, "key": {}}
    record["metrics"] = {"iw_bound": bound | {"elbo_same_images": -93.5}}
    folder = synthetic.write_record(tmp_path, "demo", record, artefacts=False)
    synthetic.write_suite(tmp_path, "demo", [(record["cell"], None)])
    site = report.build(tmp_path, tmp_path / "site").parent
    text = " ".join(Page(site / "suites" / "demo" / folder.name / "index.html").text.split())
    assert "ELBO of the images of the IW bound ↑ −93.5 nats per image 4" in text


def test_a_suite_measured_on_several_days_names_the_first_and_the_last(tmp_path):
    for seed, day in enumerate(["2026-03-03", "2026-03-01", "2026-03-02"]):
        record = synthetic.make_record(synthetic.make_cell(seed=seed), "demo")
        record["provenance"]["created"] = f"{day}T10:00:00+00:00"
        synthetic.write_record(tmp_path, "demo", record, artefacts=False)
    synthetic.write_suite(tmp_path, "demo", [(synthetic.make_cell(seed=seed), None) for seed in range(3)])
    suite = load(tmp_path, "demo")
    assert (suite.measured, suite.created) == ("2026-03-01 to 2026-03-03", "2026-03-03")
    site = report.build(tmp_path, tmp_path / "site").parent
    text = " ".join(Page(site / "suites" / "demo" / "index.html").text.split())
    assert "Measured 2026-03-01 to 2026-03-03" in text


def test_a_cell_leads_to_its_variant_and_the_variant_to_its_suite_and_cells(site):
    def links(path):
        hrefs = [a["href"] for tag, a in Page(path).tags if tag == "a" and "href" in a]
        return {(path.parent / href).resolve() for href in hrefs if not href.startswith("#")}

    cells = set((site / "suites" / "demo").resolve().glob("*/index.html"))
    variants = {}
    for cell in cells:
        [variant] = [path for path in links(cell) if path.parent.name == "variants"]
        variants.setdefault(variant, set()).add(cell)
    assert {path.stem for path in variants} == {"ae", "vae", "pca"}
    for variant, its in variants.items():
        assert links(variant) & cells <= its
        assert links(variant) & its
        assert (site / "suites" / "demo" / "index.html").resolve() in links(variant)


def test_results_and_suite_can_be_downloaded(site):
    lines = (site / "suites" / "demo" / "results.csv").read_text().splitlines()
    assert len(lines) == 1 + 11
    assert "mse" in lines[0].split(",")
    assert (site / "suites" / "demo" / "suite.yaml").read_text() == "title: demo\n"


def test_what_was_overridden_stands_on_the_page_and_above_the_suite(tmp_path):
    synthetic.write(tmp_path / "results", "demo", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1,
                    fields={"overrides": ["train.epochs=1", "title=a\nb: c"]})  # fmt: skip
    folder = report.build(tmp_path / "results", tmp_path / "site").parent / "suites" / "demo"
    assert "Run with --set train.epochs=1 --set title=a b: c" in " ".join(Page(folder / "index.html").text.split())
    head = "# run with --set train.epochs=1\n# run with --set title=a b: c\n"
    assert (folder / "suite.yaml").read_text() == head + "title: demo\n"


def test_the_tables_to_copy_are_what_the_command_prints(site, results):
    for kind, suffix in (("latex", "tex"), ("markdown", "md"), ("csv", "csv")):
        file = next((site / "suites" / "demo" / "tables").glob(f"*-mse.{suffix}"))
        assert file.read_text() == report.table(results, "demo", kind, "mse")


HOSTILE = "<script>alert(1)</script></style>{{ 7*7 }}\"'&\u202e\x07"


def hostile_site(root):
    """A suite whose every free text is hostile."""
    cell = synthetic.make_cell(label=HOSTILE, dataset=HOSTILE, seed=0) | {"variant": HOSTILE}
    record = synthetic.make_record(cell, "bad")
    record["metrics"][HOSTILE] = synthetic.entry("mse", 1.0) | {"unit": HOSTILE, "key": {HOSTILE: HOSTILE}}
    record["metrics"]["mse"]["family"] = HOSTILE
    record["about"]["variant"] = {"doc": HOSTILE, "reference": HOSTILE + " https://e.org/\"onclick='x'"}
    record["about"]["dataset"]["classes"] = [HOSTILE] * 10
    record["provenance"]["git"] = HOSTILE
    failed = synthetic.make_cell(label="x" * 10_000, seed=1)
    synthetic.write_record(root, "bad", record, points=40)
    synthetic.write_record(root, "bad", synthetic.make_record(failed, "bad", "failed", HOSTILE))
    references = [{"variant": HOSTILE, "dataset": HOSTILE, "metric": "elbo", "value": 1.0, "source": HOSTILE}]
    fields = {"title": HOSTILE, "description": HOSTILE, "references": references, "text": HOSTILE}
    synthetic.write_suite(root, "bad", [(cell, None), (failed, None)], **fields)


def test_hostile_text_shows_as_text(tmp_path):
    hostile_site(tmp_path / "results")
    site = report.build(tmp_path / "results", tmp_path / "site").parent
    for path, page in pages(site):
        scripts = [a for t, a in page.tags if t == "script"]
        assert {tuple(a) for a in scripts} == {("src", "defer")}, path
        assert all(re.fullmatch(r"[./]*static/[a-z]+\.js", a["src"]) for a in scripts)
        assert "style" not in {t for t, _ in page.tags}
        assert not [a for _, a in page.tags if any(name.startswith("on") for name in a)]
        assert "{{ 7*7 }}" in page.text
        assert "<script>alert(1)</script>" in page.text
        assert "\u202e" not in page.text
    assert "x" * 200 not in Page(site / "suites" / "bad" / "index.html").text
    for path in site.rglob("*.svg"):
        assert "<script>" not in path.read_text(encoding="utf-8")


def test_the_command_of_a_hostile_cell_is_one_argument_to_a_shell(tmp_path):
    cell = synthetic.make_cell(label="a; rm -rf $HOME `id`")
    from bench.report.pages.html import command

    words = shlex.split(command("demo", cell, ["train.epochs=`id`"]))
    assert words[5:7] == ["--set", "train.epochs=`id`"]
    assert words[words.index("--only") + 3] == "label=a; rm -rf $HOME `id`"


def test_only_the_cell_that_changed_is_made_again(results, tmp_path):
    root, out = tmp_path / "results", tmp_path / "site"
    synthetic.write(root, "demo", points=20, sizes=(2,), labels=("vae",), nets=("mlp",))
    report.build(root, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.svg")}
    path = sorted(root.glob("demo/*/embeddings.npz"))[0]
    synthetic.write_embeddings(path.parent, synthetic.np.random.default_rng(9), 20)
    report.build(root, out)
    changed = {p.parent.name for p, time in before.items() if p.stat().st_mtime_ns != time}
    assert changed == {path.parent.name}


def test_pages_of_cells_that_are_gone_are_removed_and_nothing_else_is(tmp_path):
    root, out = tmp_path / "results", tmp_path / "site"
    cells = synthetic.write(root, "demo", points=20, sizes=(2,), labels=("vae",), nets=("mlp",))
    report.build(root, out)
    (out / "mine.txt").write_text("a user's own file")
    gone = synthetic.cell_id(cells[0])
    synthetic.write_suite(root, "demo", [(cell, None) for cell in cells[1:]])
    report.build(root, out)
    assert not (out / "suites" / "demo" / gone).exists()
    assert (out / "suites" / "demo" / synthetic.cell_id(cells[1]) / "index.html").is_file()
    assert (out / "mine.txt").read_text() == "a user's own file"


def test_a_manifest_that_points_outside_the_site_removes_nothing_there(tmp_path):
    root, out = tmp_path / "results", tmp_path / "site"
    synthetic.write(root, "demo", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1)
    precious = tmp_path / "precious.txt"
    precious.write_text("kept")
    out.mkdir()
    (out / ".built.json").write_text(json.dumps({"x": {"digest": "", "files": ["../precious.txt"]}}))
    report.build(root, out)
    assert precious.read_text() == "kept"


def test_a_picture_that_is_none_and_a_link_are_left_out(tmp_path):
    root = tmp_path / "results"
    cells = synthetic.write(root, "demo", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1)
    folder = root / "demo" / synthetic.cell_id(cells[0])
    (folder / "samples_fake.png").write_text("no picture")
    secret = tmp_path / "secret.png"
    secret.write_bytes((folder / "samples_gmm.png").read_bytes())
    (folder / "samples_link.png").symlink_to(secret)
    site = report.build(root, tmp_path / "site").parent
    made = {p.name for p in (site / "suites" / "demo" / folder.name).iterdir()}
    assert "samples_gmm.png" in made
    assert not made & {"samples_fake.png", "samples_link.png"}


def test_damaged_files_are_named_and_the_site_is_built_all_the_same(tmp_path):
    root = tmp_path / "results"
    cells = synthetic.write(root, "demo", points=20, sizes=(2,), labels=("vae",), nets=("mlp",), seeds=1)
    folder = root / "demo" / synthetic.cell_id(cells[0])
    (folder / "history.csv").write_text("epoch,train_loss\nx,y\n")
    (folder / "embeddings.npz").write_bytes(b"PK\x03\x04 cut off")
    (folder / "reconstructions.png").write_bytes(b"\x89PNG")
    site = report.build(root, tmp_path / "site").parent
    text = Page(site / "suites" / "demo" / folder.name / "index.html").text
    assert "Unreadable files, not shown: reconstructions.png, history.csv, embeddings.npz" in text


def test_an_unknown_suite_is_told_with_the_nearest_name(results, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'demo'"):
        report.build(results, tmp_path, ["demoo"])


def test_a_wrong_results_folder_is_told_and_leaves_the_site_as_it_was(results, tmp_path):
    out, empty = tmp_path / "site", tmp_path / "empty"
    report.build(results, out, ["other"])
    before = contents(out)
    empty.mkdir()
    for folder, message in ((tmp_path / "resluts", "does not exist"), (empty, "holds no results of any suite")):
        with pytest.raises(UsageError, match=message):
            report.build(folder, out)
    assert contents(out) == before


def test_one_suite_can_be_built_alone(results, tmp_path):
    report.build(results, tmp_path, ["other"])
    assert [p.name for p in (tmp_path / "suites").iterdir()] == ["other"]


def test_the_report_imports_no_torch_and_no_plotting_library():
    code = "import sys, report; print(sorted({'torch', 'matplotlib', 'pandas'} & set(sys.modules)))"
    root = Path(report.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def configuration(variant, label=None):
    return SimpleNamespace(at={"variant": variant, "label": label or variant})


def test_a_variant_has_one_hue_under_every_label_and_in_every_company():
    few = colours([configuration("vae", "VAE"), configuration("ae", "AE")])
    many = colours([configuration(v) for v in registry.names("variants")] + [configuration("vae", "VAE, 10 %")])
    assert few["VAE"] % 10 == many["vae"] % 10 == hue("vae")
    assert few["AE"] == many["ae"] == hue("ae") != hue("vae")
    assert many["VAE, 10 %"] % len(LIGHT) == hue("vae")


def test_labels_that_share_a_colour_differ_in_the_width_of_their_lines(site):
    found = colours([configuration("vae", f"label {k}") for k in range(4)] + [configuration("ae")])
    twins = [sorted(n for n in found.values() if n % len(LIGHT) == hue) for hue in range(len(LIGHT))]
    assert [numbers[:2] for numbers in twins if len(numbers) > 1]
    for numbers in twins:
        assert len(set(numbers)) == min(len(numbers), 3)
    style = (site / "static" / "report.css").read_text()
    assert len({re.search(rf"\.k{n}{{--hue:var\(--k2\);--weight:(.+?)px}}", style)[1] for n in (2, 12, 22)}) == 3


def charts_of(root):
    """Row title -> the charts' descriptions, of the one dataset of a suite."""
    loaded = load(root, "demo")
    [view] = curves(loaded, {})
    return {row["title"]: [re.search('aria-label="(.*?)"', panel["chart"])[1] for panel in row["panels"]]
            for row in view["rows"]}  # fmt: skip


def with_history(root, columns):
    """A suite whose labels have these terms in their curves."""
    cells = [synthetic.make_cell(label=label, seed=s) for label in columns for s in range(2)]
    for cell in cells:
        folder = synthetic.write_record(root, "demo", synthetic.make_record(cell, "demo"), artefacts=False)
        names = [f"{split}_{term}" for split in ("train", "test") for term in ("loss", *columns[cell["label"]])]
        rows = [",".join(["epoch", *names]), *(",".join([str(e), *["3.5"] * len(names)]) for e in (1, 2))]
        (folder / "history.csv").write_text("\n".join(rows) + "\n")
    synthetic.write_suite(root, "demo", [(cell, None) for cell in cells])


def test_all_variants_share_the_axis_of_the_reconstruction_term_only(tmp_path):
    with_history(tmp_path, {"ae": ["rec"], "vae": ["rec", "kl"], "beta_vae": ["rec", "kl"], "wae": ["rec", "mmd"]})
    found = charts_of(tmp_path)
    [rec] = found["Reconstruction term"]
    assert rec.startswith("reconstruction, nats per image per epoch on MNIST, d = 2: AE, MLP, train")
    assert all(f"{label}, MLP, test" in rec for label in ("AE", "VAE", "β-VAE", "wae"))
    one, two = found["Total loss"]
    assert one.startswith("loss = rec + kl, nats per image")
    assert "β-VAE, MLP, test" in one
    assert "wae" not in one
    assert two.startswith("loss = rec + mmd, nats per image")
    assert " AE, MLP" not in one + two


def test_a_total_that_is_the_reconstruction_alone_is_not_drawn_twice(tmp_path):
    with_history(tmp_path, {"ae": ["rec"]})
    assert list(charts_of(tmp_path)) == ["Reconstruction term"]


def test_curves_on_different_images_are_not_averaged(tmp_path):
    with_history(tmp_path, {"vae": ["rec"]})
    assert charts_of(tmp_path)["Reconstruction term"][0].count("2 seeds") == 2
    path = next(tmp_path.glob("demo/*/record.json"))
    record = json.loads(path.read_text())
    record["provenance"]["fingerprint"] = "other images"
    path.write_text(json.dumps(record))
    assert charts_of(tmp_path)["Reconstruction term"][0].count("VAE, MLP, test") == 2


def test_ticks_are_round_and_within_the_range():
    assert ticks(-105.4, -98.2, 5) == [-104.0, -102.0, -100.0]
    assert ticks(0.012, 0.019, 5) == [0.012, 0.014, 0.016, 0.018]


def test_a_map_draws_every_finite_point_once():
    import numpy as np

    points = np.array([[0.0, 0.0], [1.0, 1.0], [np.nan, 0.0], [0.5, 0.2]])
    drawing = code_map(points, np.array([0, 1, 1, 0]), ["a", "b"], "a map")
    assert drawing.count("h0") == 3
    assert ">a</text>" in drawing
