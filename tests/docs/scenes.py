"""How the commands of each document are typed, and which are not, and why.

A scene is one shell in one folder that looks like a clone. It has a shop that the documents take for
granted: a copy of one small demo shop, or what its own commands make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

RUN = (
    "$(smartretail query --format csv 'select run_id from marts.order_habit limit 1' | tail -n 1)"
)
SERVING = "until curl --silent --fail localhost:$PORT/ready >ready.json; do sleep 1; done"


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
        Home that the commands make with an embedded server, which is stopped at the end.
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


SMALL_DEMO = """python - <<'PY'
import sys
from pathlib import Path
from python_ml.ingest.demo import DemoShop, write_demo_shop
write_demo_shop(DemoShop(customers=300, years=3), Path("HOME/demo"))
PY
"""

OWN_ORDERS = """python - <<'PY'
import pandas as pd
from python_ml.ingest.demo import DemoShop, write_demo_shop
from pathlib import Path
path = write_demo_shop(DemoShop(customers=300, years=2), Path("stand_in")).order_lines
lines = pd.read_parquet(path)
theirs = {"order_id": "Order No", "customer_id": "Client", "ordered_at": "InvoiceDate",
          "product_id": "Article", "quantity": "Qty", "unit_price": "Price"}
kept = [*theirs, "category", "discount", "returned", "brand", "state"]
orders = lines[kept].rename(columns=theirs)
late = orders["Order No"].isin(orders["Order No"].unique()[-3:])
orders[~late].to_csv("orders.csv", index=False)
orders.to_csv("orders_january.csv", index=False)
PY
"""

OWN_TABLES = """python - <<'PY'
import os
from pathlib import Path
import pandas as pd
import sqlalchemy
from python_ml.ingest.demo import DemoShop, write_demo_shop
lines = pd.read_parquet(write_demo_shop(DemoShop(customers=300, years=2), Path("theirs")).order_lines)
lines["id"] = lines.order_id + "/" + lines.line_id.astype(str)
by_order, by_customer = lines.groupby("order_id"), lines.groupby("customer_id")
tables = {
    "customers": by_customer.agg(country=("state", "first"), city=("state", "first")),
    "products": lines.groupby("product_id").agg(name=("product_name", "first"),
                                                category=("category", "first")),
    "orders": by_order.agg(customer_id=("customer_id", "first"), ordered_at=("ordered_at", "first")),
}
tables = {name: table.rename_axis("id").reset_index() for name, table in tables.items()}
tables["orders"]["status"] = "paid"
tables["order_items"] = lines[["order_id", "id", "product_id", "quantity", "unit_price", "discount"]]
back = lines[lines.returned_at.notna()]
tables["refunds"] = pd.DataFrame({
    "id": "R" + back.id, "order_id": back.order_id, "order_item_id": back.id,
    "quantity": back.quantity, "refunded_at": back.returned_at})
engine = sqlalchemy.create_engine(os.environ["ADDRESS"].replace("postgresql:", "postgresql+psycopg:"))
with engine.begin() as connection:
    connection.execute(sqlalchemy.text("create schema shop"))
    connection.execute(sqlalchemy.text("create schema smartretail"))
    for name, table in tables.items():
        table.to_sql(name, connection, schema="shop", index=False)
PY
"""

THEIR_SERVER = Swap(
    "postgresql://shop_runner:change-me@db.example.com:5432/shop", "$ADDRESS #", "no such server"
)
THEIR_FOLDER = Swap("/srv/smartretail", "$PWD/srv", "no such folder")
THEIR_RUN = Swap("7834de8ca113ed34ad7c", RUN, "runs are named by what they are made of")
AMISS = Swap(
    "smartretail monitor  ",
    "smartretail monitor || test $? = 1  ",
    "by today's clock the demo shop's newest row is late",
)

SCENES = {
    "own orders": Scene(
        ("README.md", "docs/run_a_step.md"),
        shop="none",
        own=(".smartretail", "my_shop"),
        prepare=SMALL_DEMO.replace("HOME", ".smartretail") + OWN_ORDERS,
        swaps=(
            Swap("make run ", "make --assume-old=.venv/installed BIN=$BIN run ", "it is installed"),
            Swap("make test ", ": ", "the suite that types this"),
            THEIR_RUN,
            Swap("dev_ada", "dev_$(id -un)", "whoever runs the tests"),
        ),
    ),
    "tutorial": Scene(("docs/tutorial.md",), shop="none", own=("my_shop",)),
    "öğretici": Scene(("docs/tr/ogretici.md",), shop="none", own=("benim_magazam",)),
    "a feature": Scene(("docs/add_a_feature.md",)),
    "a source": Scene(
        ("docs/add_a_source.md",),
        shop="none",
        own=("till",),
        edits=True,
        prepare="""python - <<'PY'
import re
from pathlib import Path
import pandas as pd
from python_ml.ingest.demo import DemoShop, write_demo_shop
text = Path("docs/add_a_source.md").read_text()
names = ["_till__sources.yml", *(f"stg_till__{name}.sql" for name in
         ("order_lines", "customers", "products", "row_accounting"))]
blocks = re.findall(r"^```(?:yaml|sql)\\n(.*?)^```$", text, re.M | re.S)
folder = Path("models_sql/staging/till")
folder.mkdir()
for name, block in zip(names, blocks, strict=False):
    (folder / name).write_text(block)
lines = pd.read_parquet(write_demo_shop(DemoShop(customers=300, years=2), Path("x")).order_lines)
lines.rename(columns={"order_id": "Receipt No", "customer_id": "Member", "ordered_at": "Sold At",
    "product_id": "SKU", "quantity": "Units", "unit_price": "Price"}).to_csv(
    "receipts_2025.csv", index=False)
PY
""",
    ),
    "api": Scene(
        ("docs/api.md",),
        prepare="""curl() { command curl --fail-with-body "$@"; }
PORT=$(python -c "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])")
""",
        swaps=(
            Swap("smartretail serve\n",
                 f"smartretail serve --port $PORT & SERVER=$!\ntrap 'kill $SERVER' EXIT\n{SERVING}\n",
                 "in the background, on a port that is free"),
            Swap("localhost:8000", "localhost:$PORT", "the same port"),
            Swap("smartretail keys add --name shop-front --scope read",
                 "KEY=$(smartretail keys add --name shop-front --scope read | grep -o 'sr_[^ ]*')",
                 "the key is printed once"),
            Swap("smartretail serve --host 0.0.0.0 --port 8080\n",
                 "kill $SERVER; wait $SERVER || true\n"
                 f"smartretail serve --host 0.0.0.0 --port $PORT & SERVER=$!\n{SERVING}\n",
                 "in the background, on a port that is free"),
            Swap("http://shop.example:8080", "http://127.0.0.1:$PORT", "no such host"),
            Swap("sr_…", "$KEY", "the key that was printed"),
        ),
    ),
    "care": Scene(
        ("docs/care.md",),
        swaps=(
            Swap("--customers 20000 --years 4", "--customers 300 --years 2", "a small shop"),
            Swap("smartretail forget C00000012", "yes | smartretail forget C00000012",
                 "it asks whether it may"),
        ),
    ),
    "bi": Scene(
        ("docs/connect_bi.md",),
        swaps=(Swap("superset import-dashboards", ": superset import-dashboards",
                    "Superset is a server of its own"),),
    ),
    "the demo shop": Scene(("docs/demo_shop.md",), shop="none"),
    "engines": Scene(
        ("docs/engines.md",),
        shop="none",
        prepare=SMALL_DEMO.replace("HOME", ".smartretail-duckdb"),
    ),
    "reading": Scene(
        ("docs/marts.md", "docs/metrics.md", "docs/report.md", "docs/watch.md", "docs/gates.md",
         "docs/how_models_are_chosen.md", "docs/purchase_potential.md"),
        prepare="printf 'customer_id,action,acted_at,prediction\\n"
        "C00000012,mail,2025-06-03,order_habit\\n' > mailing.csv\n",
        swaps=(
            Swap("--folds 8", "--folds 2", "minutes"),
            Swap("--home my_shop", "--home $SMARTRETAIL_HOME", "the shop at hand"),
            Swap("2024-03-01", "2025-03-01", "a date with history before it"),
            Swap("make bench-quality", "make --assume-old=.venv/installed BIN=$BIN bench-quality",
                 "it is installed"),
        ),
    ),
    "return risk": Scene(
        ("docs/return_risk.md",),
        prepare="""python - <<'PY'
import os
import pandas as pd
lines = pd.read_parquet(os.environ["SMARTRETAIL_HOME"] + "/demo/order_lines.parquet")
new = lines[lines.ordered_at >= "2026-01-01"] if False else lines.tail(5).copy()
new["ordered_at"] = "2026-01-01 10:00:00"
new["order_id"] = "new " + new.order_id
new[["order_id", "customer_id", "ordered_at", "product_id", "quantity", "unit_price", "size"]].rename(
    columns={"order_id": "Order No"}).to_csv("new_orders.csv", index=False)
PY
""",
        swaps=(Swap("2024-06-01", "2026-01-01", "the date that the shop's model is of"),),
    ),
    "recovering": Scene(
        ("docs/recover.md", "docs/schedule.md"),
        swaps=(
            THEIR_RUN,
            Swap("smartretail monitor", "test 1 = $(smartretail monitor >seen; echo $?) #",
                 "by today's clock the demo shop's newest row is late"),
            Swap("--from 2024-01-01", "--from 2025-11-01", "minutes"),
            Swap("--folds 8", "--folds 2", "minutes"),
            Swap("smartretail db s", "SMARTRETAIL_DATABASE_URL= SMARTRETAIL_HOME=asleep smartretail db s",
                 "an embedded server, which the test's copy is not"),
        ),
    ),
    "own tables": Scene(
        ("docs/own_schema.md",),
        shop="empty",
        prepare=OWN_TABLES,
        swaps=(THEIR_SERVER, THEIR_FOLDER),
    ),
    "production": Scene(
        ("docs/production_postgres.md",), shop="empty", swaps=(THEIR_SERVER, THEIR_FOLDER)
    ),
}

INSTALLING = "the test runs in what it made"
MEASURING = "measures for many minutes; its options are checked"
LADDER = "climbs for many minutes, on data sets that are not there everywhere"

LEFT_OUT = {
    ("CONTRIBUTING.md", "make lint    # ruff, mypy and sqlfluff"): "what CI does beside this",
    ("docs/tutorial.md", "make .venv/installed"): INSTALLING,
    ("docs/tr/ogretici.md", "make .venv/installed"): INSTALLING,
    ("docs/tr/README.md", "make run     # kurar, veritabanını başlatır, örnek mağaza için tahmin yapar"):
        "typed for README.md",
    ("docs/add_a_prediction.md", "smartretail run --only order_soon"):
        "a prediction that the reader writes first, in three files that the page only begins",
    ("docs/benchmarks.md", "python -m tests.bench.load_against_copy --customers 340000"): MEASURING,
    ("docs/benchmarks.md", "python -m tests.bench.habit_against_oracle --seeds 1 2 3 4 5"): MEASURING,
    ("docs/benchmarks.md", "smartretail run"): MEASURING,
    ("docs/benchmarks.md", "python -m tests.bench.engine_road --engine duckdb --customers 34000 "
     "--memory 6GB --work WORK"): MEASURING,
    ("docs/demo_shop.md", "python -m tests.bench.habit_against_oracle --seeds 1 2 3 4 5"): MEASURING,
    ("docs/watch.md", "python -m tests.bench.estimate_against_truth --seeds 1 2 3 4 5 6 7 8 9 10"):
        MEASURING,
    ("docs/connect_bi.md", 'curl --fail -X POST "$METABASE_URL/api/database" '
     '-H "X-API-Key: $METABASE_API_KEY" \\'): "needs a Metabase",
    ("docs/connect_bi.md", 'echo "select count(*) from marts.customers" | isql -b -k '
     '"FILEDSN=$PWD/smartretail.dsn;PWD=$PASSWORD"'): "needs unixODBC and its driver",
    ("docs/engines.md", "duckdb -readonly .smartretail-duckdb/bi/smartretail.duckdb "
     '"from marts.order_habit limit 5"'): "needs DuckDB's own shell; tests/engines read the copy",
    ("docs/schedule.md", "15 3 * * *  cd /srv/smartretail && smartretail load --path "
     "/srv/orders/orders.csv --map … && smartretail run --catch-up"): "lines of a crontab",
    ("docs/schedule.md", 'smartretail schedule --score "30 2 * * *"'):
        "serves until Ctrl-C; tests/flows looks at what it serves",
    ("docs/schedule.md", "prefect server start                                    "
     "# or the one you have"): "a server and a worker that run on; tests/flows deploys to one",
    ("docs/research/ladder_order_habit.md", "smartretail load --source demo && "
     "smartretail experiment order_habit --format markdown"): LADDER,
    ("docs/research/ladder_purchase_potential.md", "smartretail load --source demo && "
     "smartretail experiment purchase_potential --format markdown"): LADDER,
    ("docs/research/ladder_return_risk.md", "smartretail load --source demo && "
     "smartretail experiment return_risk --format markdown"): LADDER,
    ("docs/research/order_habit_beside_peers.md", 'make bench-quality OPTIONS="--home h '
     '--known-by 2011-06-10 --horizon-days 180 --as-of 2010-12-01 \\'): LADDER,
    ("docs/research/order_habit_beside_peers.md", "smartretail run --home cdnow --source order_lines "
     "--path cdnow.csv --as-of 1998-01-01 --map order=order_id \\"): LADDER,
    ("docs/research/purchase_potential_beside_peers.md", "smartretail run --home groceries --source "
     "order_lines --path groceries.csv --as-of 2017-10-01 \\"): LADDER,
}
"""Blocks that no test types, by document and first line, and why."""
