"""Links that hold on GitHub and in the site.

Pages link to files as they lie in the repository. Files under ``docs/`` are where the site expects
them; for the others there are pages of their own, and this says where.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

DOCS = "docs"
ROOT_PAGES = {
    "README.md": "overview.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
}
"""Pages at the top of the repository, and what they are called in the site."""

REFERENCE = "reference/README.md"
"""The page that speaks of the reference where it is not built: each section stands for a page."""

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_TARGET = re.compile(r"\]\(([^()\s]+)\)")


def repository_path(src_uri: str) -> str:
    """Where a page of the site lies in the repository."""
    for path, uri in ROOT_PAGES.items():
        if uri == src_uri:
            return path
    return posixpath.join(DOCS, src_uri)


def site_path(path: str, root: Path) -> str:
    """Where the site keeps what lies at a path of the repository.

    Parameters
    ----------
    path
        With slashes, from the top of the repository.
    root
        The top of the repository.
    """
    if path in ROOT_PAGES:
        return ROOT_PAGES[path]
    is_folder = (root / path).is_dir()
    if path.startswith(f"{DOCS}/"):
        inside = path.removeprefix(f"{DOCS}/")
        return f"{inside}/index.md" if is_folder else inside
    return f"repository/{path}/index.md" if is_folder else f"repository/{path}.md"


def translated(url: str, src_uri: str, root: Path, generated: frozenset[str]) -> str:
    """Turn a link of a page, as written for the repository, into one for the site.

    Parameters
    ----------
    src_uri
        The page that it stands on.
    generated
        Pages of the reference.
    """
    parts = urlsplit(url)
    if parts.scheme or parts.netloc or not parts.path or src_uri in generated:
        return url
    here = posixpath.dirname(repository_path(src_uri))
    path = posixpath.normpath(posixpath.join(here, unquote(parts.path)))
    if path.startswith("..") or not (root / path).exists():
        return url  # MkDocs says that it leads nowhere
    target, anchor = site_path(path, root), parts.fragment
    if target == REFERENCE and f"reference/{anchor}.md" in generated:
        target, anchor = f"reference/{anchor}.md", ""
    shown = posixpath.relpath(target, posixpath.dirname(src_uri) or ".")
    return urlunsplit(("", "", shown, parts.query, anchor))


def linked_paths(text: str, path: str) -> Iterator[str]:
    """Give the paths in the repository that a page links to.

    Parameters
    ----------
    text
        The page, as Markdown.
    path
        Where it lies in the repository.
    """
    for target in _TARGET.findall(_FENCE.sub("", text)):
        parts = urlsplit(target)
        if not parts.scheme and not parts.netloc and parts.path:
            yield posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(parts.path)))


class LinkTranslation(Extension):
    """Translates the links of whatever page is being rendered; MkDocs then checks them."""

    def __init__(self, root: Path, generated: frozenset[str]) -> None:
        super().__init__()
        self.src_uri = ""
        self._root = root
        self._generated = generated

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 - the name is Markdown's
        """Stand between the parsing of links (20) and their check by MkDocs (0)."""
        md.treeprocessors.register(_Translator(md, self), "repository_links", priority=4)

    def translate(self, url: str) -> str:
        """Translate one link of the page at work."""
        return translated(url, self.src_uri, self._root, self._generated)


class _Translator(Treeprocessor):
    def __init__(self, md: Markdown, links: LinkTranslation) -> None:
        super().__init__(md)
        self._links = links

    def run(self, root: Element) -> Any:
        for tag, key in (("a", "href"), ("img", "src")):
            for element in root.iter(tag):
                url = element.get(key)
                if url:
                    element.set(key, self._links.translate(url))
