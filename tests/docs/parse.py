"""Whether a command of a document is one that there is, without running it."""

from __future__ import annotations

import importlib
import importlib.util
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from python_ml.docs_site.commands import command_tree
from python_ml.settings import PROJECT_DIR

_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
_INNER = re.compile(r"\$\(([^()]*)\)")
_ENDS = {";", "&&", "||", "|", "&", "(", ")", ";;"}
_ASSIGNMENT = re.compile(r"^\w+=")
_CRON = re.compile(r"^[\d*/,-]+( +[\d*/,-]+){4} +", re.MULTILINE)


def words_of(text: str) -> Iterator[list[str]]:
    """Give the commands of a block as words, those inside ``$(…)`` too."""
    text = _CRON.sub("", _HEREDOC.sub("<<END", text)).replace("\\\n", " ")
    for inner in _INNER.findall(text):
        yield from words_of(inner)
    text = _INNER.sub("INNER", text)
    lexer = shlex.shlex(text.replace("\n", "\n;"), posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word in _ENDS or set(word) <= set(";&|()"):
            if words:
                yield words
            words = []
        elif words or not _ASSIGNMENT.match(word):
            words.append(word)


def complaint(words: list[str]) -> str | None:
    """Say what is wrong with a command; None where nothing is, or nobody here knows it."""
    program, *arguments = words
    kinds: dict[str, Callable[[list[str]], None]] = {
        "smartretail": _smartretail,
        "make": _make,
        "dbt": _dbt,
        "mf": _mf,
        "prefect": _prefect,
        "python": _python,
        "python3": _python,
    }
    if program not in kinds:
        return None
    # "…" stands for what the reader fills in
    arguments = (
        [word for word in arguments if word not in ("…", "--map")] if "…" in words else arguments
    )
    try:
        kinds[program](arguments)
    except SystemExit as ended:
        return None if ended.code in (0, None) else f"ends with {ended.code}"
    except Exception as error:
        return f"{type(error).__name__}: {getattr(error, 'message', None) or error}"
    return None


@cache
def _tree() -> Any:
    return command_tree()


def _smartretail(arguments: list[str]) -> None:
    command, name = _tree(), "smartretail"
    while arguments and arguments[0] in getattr(command, "commands", {}):
        name, *arguments = arguments
        command = command.commands[name]
    if getattr(command, "commands", None) and arguments:
        raise ValueError(f"{name} has no command {arguments[0]}")
    command.make_context(name, arguments)


def _click(command: Any, arguments: list[str]) -> None:
    """Parse the options of a click command and of the commands below it, without their values."""
    while True:
        context = command.context_class(command, info_name=command.name)
        parser = command.make_parser(context)
        parser.allow_interspersed_args = not hasattr(command, "commands")
        _, arguments, _ = parser.parse_args(list(arguments))
        if not hasattr(command, "commands"):
            return
        command, *arguments = command.commands[arguments[0]], *arguments[1:]


def _dbt(arguments: list[str]) -> None:
    _click(importlib.import_module("dbt.cli.main").cli, arguments)


def _mf(arguments: list[str]) -> None:
    _click(importlib.import_module("dbt_metricflow.cli.main").cli, arguments)


def _prefect(arguments: list[str]) -> None:
    app = importlib.import_module("prefect.cli._app")._app
    quiet = {"exit_on_error": False, "print_error": False}
    _, bound, _ = app.meta.parse_args(arguments, **quiet)  # options of every command, --no-prompt
    app.parse_args(bound.args, **quiet)


def _make(arguments: list[str]) -> None:
    said = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", *arguments],
        cwd=PROJECT_DIR, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if said.returncode != 0:
        raise ValueError(said.stderr)
    bench = re.search(r"python -m (python_ml\.experiments\.\S+) (.*)", said.stdout)
    if bench:
        _python(["-m", bench[1], *shlex.split(bench[2])])


def _python(arguments: list[str]) -> None:
    """Look whether a module is there, and names each option."""
    if arguments[:1] != ["-m"]:
        return
    found = importlib.util.find_spec(arguments[1])
    if found is None or found.origin is None:
        raise ValueError(f"there is no module {arguments[1]}")
    if arguments[1].partition(".")[0] not in ("tests", "python_ml"):
        return
    source = Path(found.origin).read_text(encoding="utf-8")
    for option in (word for word in arguments if word.startswith("--")):
        if f'"{option}"' not in source:
            raise ValueError(f"{arguments[1]} has no option {option}")
