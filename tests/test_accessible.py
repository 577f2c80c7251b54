"""Every kind of page for eyes, ears and keyboards: names, alternatives, order of headings, contrast, visible focus.

A compact checker runs in the browser and tells what it finds; each of its rules is first shown a page that breaks it.
"""

import pytest
import synthetic
from browsing import IN_BROWSER, visit

from bench import report

pytestmark = IN_BROWSER

CHECK = r"""() => {
  const found = [], seen = (e) => e.checkVisibility({ visibilityProperty: true });
  const tell = (rule, e) => found.push(`${rule}: ${e.outerHTML.slice(0, 160)}`);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const named = (e) => (e.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean)
    .map((id) => document.getElementById(id)?.textContent ?? "").join(" ").trim()
    || e.getAttribute("aria-label")?.trim() || [...(e.labels ?? [])].map((l) => l.textContent).join(" ").trim()
    || (e.matches("input, select, textarea") ? "" : e.textContent.trim() || e.querySelector("img[alt]")?.alt);

  if (!document.documentElement.lang) tell("no language", document.documentElement);
  if (!document.title.trim()) tell("no title", document.head);
  if (all("main").length !== 1) tell("not one main landmark", document.body);
  for (const nav of all("nav")) if (seen(nav) && !named(nav)) tell("landmark without a name", nav);
  for (const e of all("a[href], button, input, select, textarea, summary, [role=img], [role=region], form"))
    if (seen(e) && !named(e)) tell("no name", e);
  for (const e of all("img")) if (!e.hasAttribute("alt")) tell("no alt", e);
  for (const e of all("svg"))
    if (!e.closest("[aria-hidden=true], [aria-label]")) tell("drawing neither named nor hidden", e);

  const ids = all("[id]").map((e) => e.id);
  for (const e of all("[id]")) if (ids.indexOf(e.id) !== ids.lastIndexOf(e.id)) tell("id twice", e);
  for (const e of all("[aria-labelledby], [for]"))
    for (const id of (e.getAttribute("aria-labelledby") ?? e.htmlFor).split(/\s+/))
      if (!document.getElementById(id)) tell("no such id", e);

  const heads = all("h1, h2, h3, h4, h5, h6").filter(seen);
  if (heads.filter((e) => e.tagName === "H1").length !== 1) tell("not one h1", document.body);
  heads.reduce((before, e) => {
    const level = Number(e.tagName[1]);
    if (level > before + 1) tell(`h${level} after h${before}`, e);
    return level;
  }, 0);

  for (const table of all("table")) if (!table.querySelector("th")) tell("table without heads", table);
  for (const th of all("th"))
    if (!["row", "col", "rowgroup", "colgroup"].includes(th.scope)) tell("head without scope", th);
  for (const e of all("[tabindex]")) if (e.tabIndex > 0) tell("tabindex above 0", e);
  for (const e of all("main *")) {
    const scrolls = /auto|scroll/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1;
    if (seen(e) && scrolls && e.tabIndex < 0 && !e.querySelector("a, button, input"))
      tell("scrolls, not by keyboard", e);
  }
  for (const e of all("[aria-live], [role=status]")) if (e.closest("[aria-hidden=true]")) tell("hidden status", e);

  const parse = (c) => c.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => v / 255)
      .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const over = (top, under) => { const a = top[3] ?? 1; return [0, 1, 2].map((i) => a * top[i] + (1 - a) * under[i]); };
  const ground = (e) => {
    const behind = [];
    for (let at = e; at; at = at.parentElement) behind.unshift(parse(getComputedStyle(at).backgroundColor));
    return behind.reduce((under, top) => over(top, under), [255, 255, 255]);
  };
  for (const e of all("body *")) {
    const speaks = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!seen(e) || !speaks || e.closest("title, style, script") || e.matches(".skip, .unseen")) continue;
    const style = getComputedStyle(e), size = parseFloat(style.fontSize), under = ground(e);
    const ink = over(parse(e.closest("svg") ? style.fill : style.color), under);
    const [a, b] = [light(ink), light(under)], ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) tell(`contrast ${ratio.toFixed(2)}`, e);
  }
  return [...new Set(found)];
}"""

BROKEN = {
    "no language": "<!doctype html><title>x</title><main><h1>x</h1></main>",
    "no title": "<!doctype html><html lang=en><main><h1>x</h1></main>",
    "not one main": "<!doctype html><html lang=en><title>x</title><h1>x</h1>",
    "no name": "<main><h1>x</h1><button></button></main>",
    "no name: <input": "<main><h1>x</h1><input placeholder=x></main>",
    "no alt": "<main><h1>x</h1><img></main>",
    "drawing neither": "<main><h1>x</h1><svg></svg></main>",
    "id twice": "<main><h1 id=a>x</h1><p id=a>y</p></main>",
    "no such id": "<main><h1>x</h1><label for=zz>y</label></main>",
    "not one h1": "<main><h1>x</h1><h1>y</h1></main>",
    "h3 after h1": "<main><h1>x</h1><h3>y</h3></main>",
    "head without scope": "<main><h1>x</h1><table><tr><th>y</th></tr></table></main>",
    "table without heads": "<main><h1>x</h1><table><tr><td>y</td></tr></table></main>",
    "tabindex above 0": "<main><h1>x</h1><p tabindex=3>y</p></main>",
    "scrolls, not by keyboard": "<main><h1>x</h1><p style='overflow:auto;width:9px'>yyyyyyyyyyyy</p></main>",
    "contrast": "<main><h1>x</h1><p style='color:#999'>y</p></main>",
    "contrast 1.": "<main style='background:rgb(0 0 0 / .9)'><h1>x</h1></main>",
}


@pytest.mark.parametrize("rule", BROKEN)
def test_the_checker_finds_what_it_looks_for(browser, rule):
    page = browser.new_page()
    html = BROKEN[rule]
    page.set_content(html if html.startswith("<!") else f"<!doctype html><html lang=en><title>x</title>{html}")
    assert any(finding.startswith(rule) for finding in page.evaluate(CHECK))
    page.close()


def test_the_checker_says_nothing_of_a_sound_page(browser):
    page = browser.new_page()
    page.set_content("<!doctype html><html lang=en><title>x</title><main><h1>x</h1><h2>y</h2><img alt=''></main>")
    assert page.evaluate(CHECK) == []
    page.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    gone = {("vae", 2): ("failed", "out of memory"), ("ae", 1): (None, None)}
    published = {"variant": "vae", "dataset": "mnist", "metric": "elbo", "value": -105.6, "latent_size": 2,
                 "source": "A paper", "protocol": "ten epochs", "comparable": True, "tolerance": 0.5}  # fmt: skip
    synthetic.write(root, "demo", lambda cell: gone.get((cell["label"], cell["seed"]), ("done", None)), points=30,
                    sizes=(2, 16), nets=("mlp",), fields={"references": [published]})  # fmt: skip
    return root


@pytest.fixture(scope="module")
def site(results, tmp_path_factory):
    return report.build(results, tmp_path_factory.mktemp("site")).parent


def kinds(site):
    cell = next(p.name for p in sorted((site / "suites" / "demo").iterdir()) if (p / "map_tsne.svg").exists())
    return (
        "index.html",
        "metrics.html",
        "published.html",
        "variants/vae.html",
        "suites/demo/index.html",
        f"suites/demo/{cell}/index.html",
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", range(5))
def test_every_kind_of_page_is_accessible(page, site, kind, scheme):
    page.emulate_media(color_scheme=scheme)
    visit(page, site / kinds(site)[kind])
    assert page.evaluate(CHECK) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_filtered_and_sorted_table_is_accessible(page, site, scheme):
    page.emulate_media(color_scheme=scheme)
    visit(page, site / "suites" / "demo" / "index.html", "#tables?only.label=vae")
    page.locator("#tables button.sort:visible").nth(2).click()
    page.locator("#tables th[aria-sort]").wait_for()
    assert page.locator("#tables form.tools").is_visible()
    assert page.evaluate(CHECK) == []


def test_the_whole_site_in_one_file_is_accessible(page, results, tmp_path):
    file = report.build_single(results, tmp_path / "all.html")
    for fragment in ("", "#metrics", "#suites.demo"):
        page.goto("about:blank")
        visit(page, file, fragment)
        assert page.evaluate(CHECK) == []


FOCUS = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  return e === document.body || (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1)
    ? "" : e.outerHTML.slice(0, 160);
}"""


def test_what_has_the_focus_is_seen_to_have_it(page, site):
    visit(page, site / "suites" / "demo" / "index.html")
    for _ in range(45):
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUS) == ""


def test_the_first_stop_of_the_keyboard_leads_to_the_content(page, site):
    visit(page, site / "suites" / "demo" / "index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert page.locator(".skip").is_visible()
