"""The documentation site builds strictly, and its reference names everything that there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from python_ml.docs_site.api import openapi
from python_ml.docs_site.commands import command_tree, commands_of
from python_ml.docs_site.links import ROOT_PAGES, linked_paths, translated
from python_ml.docs_site.settings import variable
from python_ml.docs_site.site import GENERATED
from python_ml.docs_site.tables import is_mart, models_in, rendered
from python_ml.settings import PROJECT_DIR, Settings

_HEADING = re.compile(r"<h2 id=\"[^\"]*\">(.*?)<a ", re.DOTALL)


def build(root: Path, site: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--config-file", str(root / "mkdocs.yml"),
         "--site-dir", str(site)],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, cwd=root,
        check=False, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(PROJECT_DIR, folder)
    assert built.returncode == 0, built.stderr
    return folder


def sections(site: Path, name: str) -> set[str]:
    html = (site / "reference" / f"{name}.html").read_text(encoding="utf-8")
    return set(_HEADING.findall(html))


def test_every_command_has_its_section(site: Path) -> None:
    wanted = {name for name, _ in commands_of(command_tree())}
    assert {"smartretail run", "smartretail db dump", "smartretail features diff"} <= wanted
    assert sections(site, "commands") == wanted
    html = (site / "reference" / "commands.html").read_text(encoding="utf-8")
    for said in ("--horizon-days", "[default: utf-8]", "smartretail db url --role smartretail_bi"):
        assert said in html


def test_every_setting_has_its_row(site: Path) -> None:
    html = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    assert all(f"<code>{variable(name)}</code>" in html for name in Settings.model_fields)
    assert all(field.description for field in Settings.model_fields.values())


def test_every_mart_has_its_section_and_each_of_its_columns_a_meaning(site: Path) -> None:
    on_disk = {path.stem for path in (PROJECT_DIR / "models_sql" / "marts").rglob("*.sql")}
    told = sections(site, "marts") | sections(site, "rows")
    assert {name.partition(".")[2] for name in told} == on_disk
    assert all(column.description.strip() for one in models_in("marts") for column in one.columns)
    assert {f"marts.{one.name}" for one in models_in("marts") if is_mart(one)} == sections(
        site, "marts"
    )


def test_every_address_has_its_section(site: Path) -> None:
    wanted = {
        f"{method.upper()} {address}"
        for address, methods in openapi()["paths"].items()
        for method in methods
    }
    assert wanted <= sections(site, "api")


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    fetched = re.compile(r"<(?:script|img|iframe|source)[^>]+src=\"?(https?:)?//|<link[^>]+//")
    for path in site.rglob("*.html"):
        assert not fetched.search(path.read_text(encoding="utf-8")), path


def test_doc_blocks_are_put_in_and_an_unknown_one_is_an_error() -> None:
    shown = rendered("{{ doc('customer_id') }} Here.")
    assert shown == "The customer, as the shop names them. Here."
    with pytest.raises(KeyError):
        rendered("{{ doc('no_such_block') }}")


def test_the_reference_has_a_section_to_link_to_where_it_is_not_built() -> None:
    text = (PROJECT_DIR / "docs" / "reference" / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        name.upper() if name == "api" else name.capitalize() for name in GENERATED
    ]


@pytest.mark.parametrize(
    ("page", "link", "wanted"),
    [
        ("marts.md", "../README.md#bi", "overview.md#bi"),
        ("overview.md", "docs/tutorial.md", "tutorial.md"),
        ("tr/README.md", "../reference/README.md#marts", "../reference/marts.md"),
        ("connect_bi.md", "bi/", "bi/index.md"),
        ("gates.md", "../python_ml/watch/gates.yml", "repository/python_ml/watch/gates.yml.md"),
        ("gates.md", "../python_ml/nothing.py", "../python_ml/nothing.py"),
        ("gates.md", "https://example.com/docs/a.md", "https://example.com/docs/a.md"),
        ("gates.md", "#gates", "#gates"),
    ],
)
def test_links_of_the_repository_hold_in_the_site(page: str, link: str, wanted: str) -> None:
    generated = frozenset(f"reference/{name}.md" for name in GENERATED)
    assert translated(link, page, PROJECT_DIR, generated) == wanted


def test_every_link_holds_in_the_repository_too() -> None:
    pages = [*ROOT_PAGES]
    pages += [str(path.relative_to(PROJECT_DIR)) for path in PROJECT_DIR.glob("docs/**/*.md")]
    broken = [
        (page, path)
        for page in pages
        for path in linked_paths((PROJECT_DIR / page).read_text(encoding="utf-8"), page)
        if not (PROJECT_DIR / path).exists()
    ]
    assert not broken


def test_the_list_of_documents_names_every_one() -> None:
    folder = PROJECT_DIR / "docs"
    listed = set(linked_paths((folder / "README.md").read_text(encoding="utf-8"), "docs/README.md"))
    there = {f"docs/{path.relative_to(folder)}" for path in folder.rglob("*.md")}
    assert there - {"docs/README.md"} <= listed


def test_links_that_lead_nowhere_fail_the_build(tmp_path: Path) -> None:
    config = yaml.load((PROJECT_DIR / "mkdocs.yml").read_text("utf-8"), Loader=_WithTags)
    config |= {"hooks": [str(PROJECT_DIR / "docs" / "hooks.py")], "nav": ["page.md"]}
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for name in ROOT_PAGES:
        (tmp_path / name).write_text("# Page\n", encoding="utf-8")
    links = ["nowhere.md", "page.md#no-such-anchor", "../no_such_file.py"]
    text = "\n\n".join(["# Page", *(f"[there]({link})" for link in links)])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").write_text(text, encoding="utf-8")
    (tmp_path / "docs" / "forgotten.md").write_text("# In no navigation\n", encoding="utf-8")
    built = build(tmp_path, tmp_path / "site")
    assert built.returncode == 1
    for link in links:
        assert f"'page.md' contains a link '{link}'" in built.stderr
    assert "forgotten.md" in built.stderr


class _WithTags(yaml.SafeLoader):
    """Reads ``!ENV`` as nothing."""


_WithTags.add_constructor("!ENV", lambda *_: "")
