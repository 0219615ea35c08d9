"""The site of `make site`: what is wrong with a page ends the build, and nothing that a built page asks for is elsewhere.

`make site-test` runs this on the Python that has Sphinx; `WHIPSNAKE_SITE` is the site that it has built.
"""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

README = """# Title

## Documentation

- **Guides**: [page](docs/page.md)
"""
PAGE = """# Page

## A heading

[home](../README.md), [here](#a-heading), [a file](../data/values.json), [a folder](../data),
[what browsers show](../data/report.html)

![picture](picture.svg)
"""
FILES = {
    "README.md": README,
    "docs/page.md": PAGE,
    "docs/picture.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
    "data/values.json": '{"one": 1}',
    "data/report.html": "<p>A report.</p>",
}

# Each in a paragraph of its own, and what the build has to say about it.
WRONG = {
    "[page](other.md)": "'other.md'",
    "[heading](../README.md#no-such-heading)": "no-such-heading",
    "[heading here](#not-here)": "'not-here'",
    "[file](../data/other.json)": "'../data/other.json'",
    "[folder](../other)": "'../other'",
    "[not git's](../ignored.txt)": "ignored.txt is no file of the repository",
    "![picture](other.svg)": "docs/other.svg",
}


def build(repository: Path, folder: Path, files: dict[str, str]) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The site of a small repository, and what was said when it was built."""
    source, site = folder / "source", folder / "site"
    for name, text in files.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", source], check=True)
    options = ["--quiet", "--fail-on-warning", "--conf-dir", str(repository / "python/site")]
    command = [sys.executable, "-m", "sphinx", *options, "--doctree-dir", str(folder / "doctrees"), str(source), str(site)]
    return site, subprocess.run(command, capture_output=True, text=True)


def test_files_and_folders_have_pages_and_the_readmes_list_is_the_sidebar(repository: Path, tmp_path: Path) -> None:
    site, done = build(repository, tmp_path, FILES)
    assert (done.returncode, done.stderr) == (0, "")
    assert "values.json" in (site / "data/index.html").read_text()
    assert "one" in (site / "data/values.json.html").read_text()
    assert (site / "data/report.html").read_text() == FILES["data/report.html"]
    page = (site / "docs/page.html").read_text()
    assert all(f'href="../data/{name}"' in page for name in ("values.json.html", "index.html", "report.html"))
    _, sidebar = page.split('class="sidebar-tree"')
    assert '<span class="caption-text">Guides</span>' in sidebar
    assert ">Page</a>" in sidebar


def test_pages_with_something_wrong_are_no_site(repository: Path, tmp_path: Path) -> None:
    wrong = {
        "docs/page.md": "\n\n".join([PAGE, *WRONG]),
        "docs/unlisted.md": "# Unlisted",
        "ignored.txt": "",
        ".gitignore": "ignored.txt",
    }
    _, done = build(repository, tmp_path, FILES | wrong)
    assert done.returncode == 1
    assert "docs/unlisted.md: WARNING: document isn't included in any toctree" in done.stderr
    about_the_page = [line for line in done.stderr.splitlines() if "docs/page.md:" in line]
    assert len(about_the_page) == len(WRONG)
    for told in WRONG.values():
        assert any(told in line for line in about_the_page), told


class Links(HTMLParser):
    """What a page asks for or leads to, and where others can lead to in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                (self.links if tag == "a" else self.loaded).append(value)


@pytest.fixture(scope="module")
def pages() -> dict[Path, Links]:
    """The pages of this repository's site."""
    site = Path(os.environ["WHIPSNAKE_SITE"]).resolve()
    # The report is not ours to judge here: `whipsnake bench` writes it.
    return {page: Links(page) for page in site.rglob("*.html") if page.name != "report.html"}


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Links]) -> None:
    elsewhere = {(page.name, url) for page, links in pages.items() for url in links.loaded if urlsplit(url).netloc}
    assert elsewhere == set()
    assert len(pages) > 30


def test_every_link_of_the_site_leads_somewhere(pages: dict[Path, Links]) -> None:
    nowhere = set()
    for page, links in pages.items():
        for url in links.links + links.loaded:
            parts = urlsplit(url)
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            if parts.scheme or parts.netloc:
                continue
            lacks_anchor = target in pages and unquote(parts.fragment) not in pages[target].anchors | {""}
            if lacks_anchor or not target.is_file():
                nowhere.add((page.name, url))
    assert nowhere == set()
