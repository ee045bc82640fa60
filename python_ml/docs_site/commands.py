"""The page of commands, from the command line itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from python_ml.cli import build_app
from python_ml.docs_site.pages import cell, code, page, table

Command = Any
"""Typer brings a click of its own and does not show its classes: taken for what they do."""


def command_tree() -> Command:
    """The root of all commands."""
    return typer.main.get_command(build_app())


def commands_of(command: Command, name: str = "smartretail") -> Iterator[tuple[str, Command]]:
    """Give each command with its full name, groups before what they hold."""
    yield name, command
    for below, child in sorted(getattr(command, "commands", {}).items()):
        if not child.hidden:
            yield from commands_of(child, f"{name} {below}")


def commands_page() -> str:
    """Write down every command: its help, arguments, options and defaults."""
    parts = [
        "# Commands",
        "What `--help` says, on one page. Every command ends with an "
        "[exit code](../production_postgres.md#on-a-schedule) that a script can read.",
    ]
    for name, command in commands_of(command_tree()):
        with command.make_context(name, [], resilient_parsing=True) as context:
            pieces = (
                " ".join(command.collect_usage_pieces(context)).replace("{", "").replace("}", "")
            )
            records = [parameter.get_help_record(context) for parameter in command.params]
        parts += [
            f"## {name}",
            f"```text\n{name} {pieces}\n```",
            *_paragraphs(command.help or ""),
            *_examples(command.epilog or ""),
            table(
                ("option", "meaning"),
                ((code(record[0]), cell(record[1])) for record in records if record),
            ),
        ]
    return page(*parts)


def _paragraphs(text: str) -> Iterator[str]:
    """Give the paragraphs of a help text; those that stand further in are commands."""
    commands: list[str] = []
    for paragraph in [*text.split("\n\n"), ""]:
        lines = paragraph.splitlines()
        if lines and all(line.startswith("    ") for line in lines):
            commands += [line.strip() for line in lines]
            continue
        if commands:
            yield _typed(commands)
            commands = []
        yield "\n".join(line.strip() for line in lines).replace("<", "&lt;")


def _examples(epilog: str) -> Iterator[str]:
    """Give what stands below the options: a word, and commands."""
    first, *commands = epilog.split("\n\n")
    yield first
    if commands:
        yield _typed(commands)


def _typed(commands: list[str]) -> str:
    return "\n".join(["```text", *commands, "```"])
