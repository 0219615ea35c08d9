"""Links to what is no page: a source file, a test, a folder.

GitHub shows these, and so does the site: each file that a page links to gets a page with its text, each folder one with its
files. So links need no address of a repository, and one to a file that the repository does not have is a warning.
"""

import html
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.osutil import relative_uri

# What a browser shows by itself, and what is too long to be coloured.
BROWSERS_OWN = {".html", ".png", ".svg"}
LONGEST = 200_000

LOGGER = logging.getLogger(__name__)


class RepositoryFiles(SphinxTransform):
    # Before navigation.py, which wants to know the pages.
    default_priority = 400

    def apply(self, **_kwargs: object) -> None:
        for kind in (addnodes.download_reference, addnodes.pending_xref):
            for link in list(self.document.findall(kind)):
                if link.get("reftype") == "myst" and link.get("refdomain") is None:
                    self.resolve(link)

    def resolve(self, link: nodes.Element) -> None:
        target = normpath(PurePosixPath(self.env.docname).parent / link["reftarget"])
        docname = f"{target}/README"
        if docname in self.env.found_docs:
            link["refdomain"], link["reftarget"], link["reftargetid"] = "doc", docname, None
        elif is_folder(self.env, target) or target in files(self.env):
            linked(self.env).add(target)
            uri = relative_uri(f"{self.env.docname}.html", address(self.env, target))
            link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))
        # What is left of a pending reference MyST warns about by itself.
        elif isinstance(link, addnodes.download_reference):
            LOGGER.warning("%s is no file of the repository", target, location=link)


def files(env: BuildEnvironment) -> list[str]:
    """What git has or would take."""
    if not hasattr(env, "repository_files"):
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=env.srcdir, check=True, capture_output=True, text=True)
        env.repository_files = sorted(name for name in listed.stdout.split("\0") if Path(env.srcdir, name).is_file())
    return env.repository_files


def is_folder(env: BuildEnvironment, target: str) -> bool:
    return any(file.startswith(f"{target}/") for file in files(env))


def linked(env: BuildEnvironment) -> set[str]:
    """The files and folders that pages link to."""
    if not hasattr(env, "linked_files"):
        env.linked_files = set()
    return env.linked_files


def address(env: BuildEnvironment, target: str) -> str:
    if is_folder(env, target):
        return f"{target}/index.html"
    path = Path(env.srcdir, target)
    return target if path.suffix in BROWSERS_OWN or path.stat().st_size > LONGEST else f"{target}.html"


def pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    env = app.env
    targets = set(linked(env))
    for folder in sorted(target for target in targets if is_folder(env, target)):
        inside = [file for file in files(env) if file.startswith(f"{folder}/")]
        targets.update(inside)
        items = "".join(item(folder, file.removeprefix(f"{folder}/"), address(env, file)) for file in inside)
        yield f"{folder}/index", context(folder, f"<ul>{items}</ul>"), "page.html"
    for file in sorted(target for target in targets if not is_folder(env, target)):
        source, shown_at = Path(env.srcdir, file), address(env, file)
        if shown_at == file:
            copy = Path(app.outdir, file)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
        else:
            text = app.builder.highlighter.highlight_block(source.read_text(), language(source), force=True)
            yield shown_at.removesuffix(".html"), context(file, text), "page.html"


def item(folder: str, name: str, uri: str) -> str:
    return f'<li><a href="{html.escape(relative_uri(f"{folder}/index.html", uri))}">{html.escape(name)}</a></li>'


def context(title: str, body: str) -> dict[str, Any]:
    title = html.escape(title)
    return {"title": title, "body": f"<h1><code>{title}</code></h1>{body}"}


def language(file: Path) -> str:
    try:
        return get_lexer_for_filename(file.name).aliases[0]
    except ClassNotFound:
        return "text"


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(RepositoryFiles)
    app.connect("html-collect-pages", pages)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
