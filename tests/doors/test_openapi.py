"""Everything that OpenAPI promises, tried with generated requests."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance", "negative_data_rejection",
    "missing_required_header", "unsupported_method",
)  # fmt: skip
"""Not among them: that what fits the schema is accepted. A cursor that was never handed out, or an
average that contradicts its total, fits, and is refused with a document of its own."""
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize(
    ("examples", "least"),
    [(3, 200), pytest.param(250, 2_000, marks=pytest.mark.slow)],
    ids=["hundreds", "thousands"],
)
def test_no_generated_request_breaks_the_api(api: httpx.Client, examples: int, least: int) -> None:
    schemathesis = Path(sys.executable).parent / "schemathesis"
    ended = subprocess.run(
        [
            str(schemathesis), "--config-file", str(CONFIG), "run", f"{api.base_url}/openapi.json",
            "--checks", ",".join(CHECKS),
            "--phases", "examples,coverage,fuzzing",
            "--max-examples", str(examples),
            "--seed", "20240229", "--generation-deterministic",
            "--continue-on-failure", "--no-color",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=1_500,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout[-6_000:] + ended.stderr
    made = re.search(r"([\d,]+) generated", ended.stdout)
    assert made is not None, ended.stdout[-2_000:]
    assert int(made[1].replace(",", "")) >= least


def test_every_address_is_described_with_its_problems_and_an_example(api: httpx.Client) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    assert len(paths) >= 13
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["description"] or operation["summary"], path
            if not path.startswith("/v1/"):
                continue
            problems = {
                status for status, said in operation["responses"].items()
                if "application/problem+json" in said.get("content", {})
            }  # fmt: skip
            assert {"429", "503", "500"} <= problems, path
            if method == "post" or "{" in path:
                assert "422" in problems, path
