"""A real Chromium for tests of the site, opened from a file: fixtures, and the mark that skips where there is none."""

import shutil

import pytest

CHROMIUM = next((p for name in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(name))), None)

IN_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
]


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield launched
        launched.close()


@pytest.fixture
def page(browser):
    """A page that fails its test on any console message, failed request, or request that leaves the files."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    opened, complaints = context.new_page(), []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
    opened.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    opened.on("request", lambda r: r.url.startswith(("file:", "data:")) or complaints.append(r.url))
    yield opened
    context.close()
    assert complaints == []


@pytest.fixture
def plain_page(browser):
    """A page in a browser that runs no scripts."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, java_script_enabled=False)
    yield context.new_page()
    context.close()


def visit(page, path, fragment=""):
    page.goto(path.as_uri() + fragment)
    return page


def copied(page, what):
    """The text that a click on `what` copies; waits for the clipboard, since a word that says so soon goes again."""
    read = "navigator.clipboard.readText()"
    page.evaluate("navigator.clipboard.writeText('nothing yet')")
    page.wait_for_function(f"{read}.then((text) => text === 'nothing yet')")
    what.click()
    for _ in range(300):  # the text that is compared is the text that is returned: two reads may differ
        if (text := page.evaluate(read)) != "nothing yet":
            return text
        page.wait_for_timeout(100)
    raise AssertionError("nothing was copied within 30 s")
