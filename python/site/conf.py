"""Sphinx's settings for `make site`: the repository's Markdown files as they are, as a site that needs no network.

The source folder is the repository, so that a link means here what it means on GitHub. Whatever is not found is a warning, and
`make site` takes warnings for errors.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "Whipsnake"
extensions = ["myst_parser", "navigation", "repository_files"]

root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "layer/examples/**.md", "python/tests/ecosystem/*.md"]
# Folders that are large, or hold other people's pages.
exclude_patterns = ["target", "dist", ".*", "**/.*", "**/node_modules"]

# Anchors of headings, by GitHub's rules.
myst_heading_anchors = 4

highlight_language = "text"
pygments_style = "default"
pygments_dark_style = "github-dark"

html_theme = "furo"
html_title = "Whipsnake"
html_static_path = ["static"]
html_css_files = ["pages.css"]
templates_path = ["templates"]
html_additional_pages = {"index": "to_the_readme.html"}
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_use_index = False
