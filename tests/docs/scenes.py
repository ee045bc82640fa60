"""How the commands of each document are typed, and which are not, and why.

A scene is one shell in a folder that looks like a clone. It has a shop that its documents take for
granted: a copy of one small demo shop, or what its own commands make.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

RUN = "$(smartretail query --format csv 'select run_id from marts.order_habit' | sed -n 2p)"
SERVE = (
    "smartretail serve --port $PORT & SERVER=$!\n"
    "trap 'kill $SERVER' EXIT\n"
    "until curl --silent localhost:$PORT/ready; do sleep 1; done\n"
)
FREE_PORT = "import socket; s = socket.socket(); s.bind(('', 0)); print(s.getsockname()[1])"

DUCKDB = """duckdb() {  # its own shell is no Python package
    python -c "import duckdb; duckdb.connect('$2', read_only=True).sql('$3').show()"
}"""


@dataclass(frozen=True)
class Swap:
    """Words of a document that the test types otherwise, and why."""

    text: str
    by: str
    why: str


@dataclass(frozen=True)
class Scene:
    """Documents that are typed one after the other.

    Parameters
    ----------
    shop
        ``copy``: the home and the database of the small shop, copied; ``empty``: a database with
        nothing in it; ``none``: no address and no home are given, the documents name theirs.
    own
        Homes that the commands make with an embedded server, which is stopped at the end.
    prepare
        What the documents take for granted.
    edits
        The project is copied rather than linked, for documents that change it.
    """

    documents: tuple[str, ...]
    shop: Literal["copy", "empty", "none"] = "copy"
    own: tuple[str, ...] = ()
    prepare: str = ""
    swaps: tuple[Swap, ...] = ()
    edits: bool = False


ADDRESS = Swap(
    "postgresql://shop_runner:change-me@db.example.com:5432/shop", "$ADDRESS #", "no such server"
)
FOLDER = Swap("/srv/smartretail", "$PWD/srv", "no such folder")
RUN_ID = Swap("7834de8ca113ed34ad7c", RUN, "a run is named by what it is made of")


def make(target: str) -> Swap:
    """Type `make` without its look at what is installed."""
    return Swap(
        f"make {target}",
        f"make --assume-old=.venv/runs --assume-old=.venv/installed BIN=$BIN {target}",
        "it is installed",
    )


SCENES = {
    "own orders": Scene(
        ("README.md", "docs/run_a_step.md"),
        shop="none",
        own=(".smartretail", "my_shop"),
        prepare="python -m tests.docs.prepare orders\n"
        "python -m tests.docs.prepare demo .smartretail",
        swaps=(
            make("run"),
            Swap("make test ", ": ", "the suite that types this"),
            RUN_ID,
            Swap("dev_ada", "dev_$(id -un)", "whoever runs the tests"),
        ),
    ),
    "tutorial": Scene(("docs/tutorial.md",), shop="none", own=("my_shop",)),
    "tutorial in Turkish": Scene(("docs/tr/ogretici.md",), shop="none", own=("benim_magazam",)),
    "a feature": Scene(("docs/add_a_feature.md",)),
    "a source": Scene(
        ("docs/add_a_source.md",),
        shop="none",
        own=("till",),
        prepare="python -m tests.docs.prepare receipts",
        edits=True,
    ),
    "a prediction": Scene(
        ("docs/add_a_prediction.md",),
        prepare="python -m tests.docs.prepare prediction",
        edits=True,
    ),
    "api": Scene(
        ("docs/api.md",),
        prepare=f'PORT=$(python -c "{FREE_PORT}")\n'
        'curl() { command curl --fail-with-body "$@"; }',
        swaps=(
            Swap("smartretail serve\n", SERVE, "in the background, on a port that is free"),
            Swap("localhost:8000", "localhost:$PORT", "the same port"),
            Swap(
                "smartretail keys add --name shop-front --scope read",
                "KEY=$(smartretail keys add --name shop-front --scope read | grep -o 'sr_[^ ]*')",
                "the key is printed once",
            ),
            Swap(
                "smartretail serve --host 0.0.0.0 --port 8080\n",
                "kill $SERVER; wait $SERVER || true\n"
                + SERVE.replace("serve ", "serve --host 0.0.0.0 "),
                "in the background, on a port that is free",
            ),
            Swap("http://shop.example:8080", "http://127.0.0.1:$PORT", "no such host"),
            Swap("sr_…", "$KEY", "the key that was printed"),
        ),
    ),
    "care": Scene(
        ("docs/care.md",),
        swaps=(
            Swap("--customers 20000 --years 4", "--customers 300 --years 2", "a small shop"),
            Swap("smartretail forget", "echo y | smartretail forget", "it asks whether it may"),
        ),
    ),
    "bi": Scene(
        ("docs/connect_bi.md",),
        swaps=(Swap("superset import", ": superset import", "Superset is a server of its own"),),
    ),
    "the demo shop": Scene(("docs/demo_shop.md",), shop="none"),
    "engines": Scene(
        ("docs/engines.md",),
        shop="none",
        prepare="python -m tests.docs.prepare demo .smartretail-duckdb\n" + DUCKDB,
    ),
    "reading": Scene(
        (
            "docs/marts.md",
            "docs/metrics.md",
            "docs/report.md",
            "docs/watch.md",
            "docs/gates.md",
            "docs/how_models_are_chosen.md",
            "docs/purchase_potential.md",
        ),
        prepare="python -m tests.docs.prepare mailing",
        swaps=(
            Swap("--folds 8", "--folds 2", "minutes"),
            Swap("--home my_shop", "--home $SMARTRETAIL_HOME", "the shop at hand"),
            Swap("2024-03-01", "2025-03-01", "a date with history before it"),
            make("bench-quality"),
        ),
    ),
    "return risk": Scene(
        ("docs/return_risk.md",),
        prepare="python -m tests.docs.prepare new_orders",
        swaps=(
            Swap("2024-06-01", "2026-01-01", "the date that the shop's model is of"),
            Swap(
                "--attribute line:size",
                "--attribute line:size --attribute product:brand --attribute customer:state",
                "as the small shop was loaded",
            ),
        ),
    ),
    "recovering": Scene(
        ("docs/recover.md", "docs/schedule.md"),
        swaps=(
            RUN_ID,
            Swap("--from 2024-01-01", "--from 2025-11-01", "minutes"),
            Swap("--folds 8", "--folds 2", "minutes"),
            Swap(
                "smartretail db status\nsmartretail db start\n",
                "export -n SMARTRETAIL_DATABASE_URL\nSMARTRETAIL_HOME=asleep smartretail db start\n"
                "SMARTRETAIL_HOME=asleep smartretail db status\nexport SMARTRETAIL_DATABASE_URL\n",
                "an embedded server; before it is started, status ends with 4",
            ),
        ),
    ),
    "own tables": Scene(
        ("docs/own_schema.md",),
        shop="empty",
        prepare="python -m tests.docs.prepare tables",
        swaps=(ADDRESS, FOLDER),
    ),
    "production": Scene(("docs/production_postgres.md",), shop="empty", swaps=(ADDRESS, FOLDER)),
}


def left_out() -> dict[tuple[str, str], str]:
    """Blocks that no test types, by document and how they begin, and why."""
    text = Path(__file__).with_name("left_out.yml").read_text(encoding="utf-8")
    return {
        (document, begins): why
        for document, blocks in yaml.safe_load(text).items()
        for begins, why in blocks.items()
    }
