"""What MkDocs asks for while it builds the site: pages that no file holds, and links to files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from python_ml.docs_site import api, commands, settings, tables
from python_ml.docs_site.links import (
    DOCS,
    REFERENCE,
    ROOT_PAGES,
    LinkTranslation,
    linked_paths,
    site_path,
)

GENERATED: dict[str, Callable[[], str]] = {
    "commands": commands.commands_page,
    "settings": settings.settings_page,
    "marts": tables.marts_page,
    "rows": tables.rows_page,
    "shop": tables.shop_page,
    "features": tables.features_page,
    "landing": tables.landing_page,
    "api": api.api_page,
}
"""Pages of the reference, by name: `reference/<name>.md`."""

_FIRST_HEADING = re.compile(r"^# (.+)$", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Let every page's links be translated, and fill the folders that the navigation names."""
    root = Path(config.config_file_path).parent
    generated = frozenset(f"reference/{name}.md" for name in GENERATED)
    extensions: list[Any] = config.markdown_extensions
    extensions.append(LinkTranslation(root, generated))
    if config.nav is not None:
        config.nav = _filled(config.nav, Path(config.docs_dir))
    return config


def _filled(nav: Any, docs_dir: Path) -> Any:
    """Put the pages of a folder where the navigation says ``folder/*``."""
    if isinstance(nav, dict):
        return {title: _filled(below, docs_dir) for title, below in nav.items()}
    if isinstance(nav, list):
        return [_filled(one, docs_dir) for one in nav]
    if isinstance(nav, str) and nav.endswith("/*"):
        folder = nav.removesuffix("/*")
        return [
            {_title(path): f"{folder}/{path.name}"}
            for path in sorted((docs_dir / folder).glob("*.md"))
        ]
    return nav


def _title(path: Path) -> str:
    match = _FIRST_HEADING.search(path.read_text(encoding="utf-8"))
    return path.stem if match is None else match[1]


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the reference, the pages at the top of the repository, and files that pages link to."""
    root = Path(config.config_file_path).parent
    for name, write in GENERATED.items():
        files.append(File.generated(config, f"reference/{name}.md", content=write()))
    for path, uri in ROOT_PAGES.items():
        text = (root / path).read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=text))
    for path in sorted(set(_linked(root))):
        uri = site_path(path, root)
        if files.get_file_from_path(uri) is None and (root / path).exists():
            files.append(File.generated(config, uri, content=_shown(root / path, path)))
    return files


def _linked(root: Path) -> Iterator[str]:
    pages = [*ROOT_PAGES, *(p.relative_to(root).as_posix() for p in (root / DOCS).rglob("*.md"))]
    for page in pages:
        yield from linked_paths((root / page).read_text(encoding="utf-8"), page)


def _shown(path: Path, name: str) -> str:
    """Show a file of the repository as it is, or what a folder holds."""
    if path.is_dir():
        held = sorted(
            one.name + "/" * one.is_dir() for one in path.iterdir() if not one.name.startswith(".")
        )
        return "\n".join([f"# {name}", "", "In the repository:", "", *(f"- `{o}`" for o in held)])
    text = path.read_text(encoding="utf-8")
    return f"# {name}\n\n````{path.suffix.removeprefix('.') or 'text'}\n{text}\n````\n"


def on_pre_page(page: Page, *, config: MkDocsConfig, files: Files) -> Page:
    """Say whose links are translated."""
    extensions: list[Any] = config.markdown_extensions
    for extension in extensions:
        if isinstance(extension, LinkTranslation):
            extension.src_uri = page.file.src_uri
    return page


def on_page_markdown(
    markdown: str,
    *,
    page: Page,
    config: MkDocsConfig,
    files: Files,
) -> str:
    """Let the sections of the reference's first page lead to the pages that they stand for."""
    if page.file.src_uri != REFERENCE:
        return markdown
    for name in GENERATED:
        markdown = re.sub(rf"^## ({name})$", rf"## [\1]({name}.md)", markdown, flags=re.I | re.M)
    return markdown
