"""The sidebar is the README's list of pages.

On GitHub it is a plain list: a name in bold type, and links. Here each of its items becomes a toctree of that name as well, so
that there is one list, and Sphinx tells which page is missing in it.
"""

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

SECTION = "Documentation"


class Navigation(SphinxTransform):
    # Before Sphinx looks for toctrees, after the links are known.
    default_priority = 500

    def apply(self, **_kwargs: object) -> None:
        if self.env.docname != self.config.root_doc:
            return
        for section in self.document.findall(nodes.section):
            if section[0].astext() == SECTION:
                for item in section.findall(nodes.list_item):
                    section += toctree(self.env.docname, item)


def toctree(docname: str, item: nodes.list_item) -> addnodes.toctree:
    caption = next(item.findall(nodes.strong)).astext()
    pages = [link["reftarget"] for link in item.findall(addnodes.pending_xref) if link["refdomain"] == "doc"]
    return addnodes.toctree(
        parent=docname,
        entries=[(None, page) for page in pages],
        includefiles=pages,
        maxdepth=-1,
        caption=caption,
        rawcaption=caption,
        glob=False,
        hidden=True,
        includehidden=False,
        numbered=0,
        titlesonly=True,
    )


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(Navigation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
