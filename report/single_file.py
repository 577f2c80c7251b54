"""The whole site as one HTML file with its pictures, styles, scripts and downloads.

Every page becomes an article, and links lead to articles. Styles show one article at a time: the one that the fragment
of the address names, or that holds the named element. A script handles fragments with a table's arrangement. The file
holds each picture once, preferably on its cell's page; the script copies it to other places, which without the script
show its description and a link. The Content-Security-Policy allows the style and the script by their hashes.
"""

import base64
import hashlib
import html
import posixpath
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote

from .site import STATIC, build

TYPES = {".png": "image/png", ".gif": "image/gif", ".jpg": "image/jpeg", ".webp": "image/webp", ".svg": "image/svg+xml",
         ".csv": "text/csv", ".yaml": "text/plain", ".tex": "text/plain", ".md": "text/plain",
         ".bib": "text/plain", ".txt": "text/plain", ".json": "application/json"}  # fmt: skip
PLAIN = " /:;=,()!*@+?~^{}|[]"  #: characters that need no quoting in an attribute and in a data URI
#: Attributes that hold ids of the same page
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "data-copies", "data-filters")


def build_single(results: Path, out: Path, suites: list[str] | None = None) -> Path:
    """Build the site of all suites under `results`, or of those named, as the one file `out`; returns its path.

    Raises what `site.build` raises.
    """
    out = Path(out)
    with tempfile.TemporaryDirectory() as folder:
        build(results, Path(folder), suites)
        content = assemble(Path(folder))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(content.encode())
    return out


def assemble(site: Path) -> str:
    """One document out of a built site."""
    paths = sorted((p.relative_to(site).as_posix() for p in site.rglob("*.html")), key=_page_order)
    pages = {path: page_id(path) for path in paths}
    holders: dict[str, str] = {}
    articles = {path: _article(site, path, pages, holders) for path in sorted(paths, key=_holding_order)}
    style = _static(site, [name for name in STATIC if name.endswith(".css")])
    script = _static(site, ["single.js", *(name for name in STATIC if name.endswith(".js") and name != "single.js")])
    beside = sorted(p.relative_to(site).as_posix() for p in site.rglob("tables/*.js"))
    data = "".join(_data(site, path) for path in beside)
    policy = (f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
              "base-uri 'none'; form-action 'none'")  # fmt: skip
    return "\n".join([
        "<!doctype html>", '<html lang="en">', "<head>", '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">', '<meta name="referrer" content="no-referrer">',
        "<title>Autoencoder benchmark</title>", '<link rel="icon" href="data:,">', f"<style>{style}</style>", "</head>",
        '<body class="single">', '<a class="skip" href="#main">Skip to content</a>', '<main id="main">',
        *(articles[path] for path in paths),
        "</main>", f"{data}<script>{script}</script>", "</body>", "</html>", "",
    ])  # fmt: skip


def page_id(path: str) -> str:
    """The id of a page's article.

    >>> page_id("index.html"), page_id("suites/digits/index.html"), page_id("variants/vae.html")
    ('index', 'suites.digits', 'variants.vae')
    """
    plain = path.removesuffix("/index.html").removesuffix(".html")
    return re.sub(r"[^A-Za-z0-9_.-]", "-", plain.replace("/", "."))


def _page_order(path: str) -> tuple[bool, int, str]:
    return path != "index.html", path.count("/"), path


def _holding_order(path: str) -> tuple[bool, str]:
    """Pages of cells first: they hold the pictures that galleries show."""
    return path.count("/") < 3, path


def _static(site: Path, names: list[str]) -> str:
    return "\n".join((site / "static" / name).read_text(encoding="utf-8") for name in names)


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _data(site: Path, path: str) -> str:
    """The data of a script beside a page, as a block of JSON."""
    text = (site / path).read_text(encoding="utf-8")
    found = re.fullmatch(r'bench\w+\((?:"[^"\\]*", )?(.*)\);\n', text, re.DOTALL)
    assert found, path
    safe = found[1].replace("<", "\\u003c")
    return f'<script type="application/json" id="inline:{html.escape(path)}">{safe}</script>\n'


def _article(site: Path, path: str, pages: dict[str, str], holders: dict[str, str]) -> str:
    page = _Page(site, path, pages, holders)
    page.feed((site / path).read_text(encoding="utf-8"))
    page.close()
    title = html.escape("".join(page.title).strip())
    return f'<article class="page" id="{pages[path]}" data-title="{title}">\n{"".join(page.parts).strip()}\n</article>'


class _Page(HTMLParser):
    """Copies the navigation and main part of a page, with ids made unique and links into the one document."""

    def __init__(self, site: Path, path: str, pages: dict[str, str], holders: dict[str, str]) -> None:
        super().__init__(convert_charrefs=False)
        self.site, self.path, self.pages = site, path, pages
        self.holders = holders  #: id of a picture -> id of the article that holds it, so far
        self.id = pages[path]
        self.parts: list[str] = []
        self.title: list[str] = []
        self.inside = ""  #: "nav", "main" or "title" while in one

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("main", "title") and not self.inside:
            self.inside = tag
            return
        if tag == "nav" and not self.inside:
            self.inside = tag
        if self.inside in ("nav", "main"):
            self.parts.append(self._tag(tag, given) or self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self.inside in ("nav", "main"):
            self.parts.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == self.inside and tag in ("main", "title"):
            self.inside = ""
        elif self.inside in ("nav", "main"):
            self.parts.append(f"</{tag}>")
            self.inside = "" if tag == self.inside == "nav" else self.inside

    def handle_data(self, data: str) -> None:
        self._text(data)

    def handle_entityref(self, name: str) -> None:
        self._text(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._text(f"&#{name};")

    def _text(self, text: str) -> None:
        if self.inside == "title":
            self.title.append(html.unescape(text))
        elif self.inside:
            self.parts.append(text)

    def _tag(self, tag: str, given: dict[str, str | None]) -> str:
        """The tag with changed attributes, "" where nothing changes."""
        changed = {name: f"{self.id}--{given[name]}" for name in ("id", *REFERENCES) if given.get(name)}
        for name in ("src", "srcset"):
            if given.get(name):
                changed |= self._picture(name, self._resolved(str(given.pop(name))))
        if given.get("href"):
            changed |= self._link(given)
        for name in ("data-source", "data-still"):
            if given.get(name):
                changed[name] = self._resolved(str(given[name]))
        if given.get("data-link"):
            changed["data-link"] = "#" + page_id(self._resolved(str(given["data-link"])))
        if not changed:
            return ""
        pairs = (given | changed).items()
        words = [name if value is None else f'{name}="{html.escape(value)}"' for name, value in pairs]
        return f"<{' '.join([tag, *words])}>"

    def _picture(self, name: str, path: str) -> dict[str, str]:
        """The picture itself at its first place, its id elsewhere."""
        picture = self._picture_id(path)
        if picture in self.holders:
            return {"data-picture": picture}
        self.holders[picture] = self.id
        return {"id": picture, name: self._uri(path)}

    def _picture_id(self, path: str) -> str:
        return f"picture-{hashlib.sha256(self._file(path).read_bytes()).hexdigest()[:16]}"

    def _link(self, given: dict[str, str | None]) -> dict[str, str]:
        """The target of a link: an article or a place in it, an outside address, or a download as data."""
        target, _, anchor = str(given["href"]).partition("#")
        if re.match(r"[a-z]+:|//", target):
            return {}
        path = self._resolved(target) if target else self.path
        if path in self.pages:
            return {"href": f"#{self.pages[path]}" + (f"--{anchor}" if anchor else "")}
        if "zoom" in (given.get("class") or "").split():  # the link already contains the picture
            beside = self.pages.get(posixpath.join(posixpath.dirname(path), "index.html"), self.id)
            return {"href": f"#{self.holders.get(self._picture_id(path), beside)}"}
        return {"href": self._uri(path), "download": posixpath.basename(path)}

    def _resolved(self, link: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.path), unquote(link)))

    def _file(self, path: str) -> Path:
        file = self.site / path
        assert file.resolve().is_relative_to(self.site.resolve()), path
        return file

    def _uri(self, path: str) -> str:
        file = self._file(path)
        content, kind = file.read_bytes(), TYPES[file.suffix]
        if file.suffix == ".svg":  # a quarter shorter than base64
            return f"data:{kind},{quote(content, safe=PLAIN)}"
        return f"data:{kind};base64,{base64.b64encode(content).decode()}"
