"""Datasette itself serves a ledger by this metadata."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.show.datasette import FACETS, metadata
from tests.support import example_ledger as example

SERVE = """
import asyncio, json, sys
from datasette.app import Datasette

async def main(ledger, metadata, paths):
    served = Datasette([ledger], metadata=json.load(open(metadata)))
    await served.invoke_startup()
    answers = [await served.client.get(path) for path in paths]
    print(json.dumps([[one.status_code, one.text] for one in answers]))

asyncio.run(main(*sys.argv[1:3], sys.argv[3:]))
"""


def test_facets_and_queries_name_what_is_there() -> None:
    found = metadata("ledger")["databases"]["ledger"]
    for table, columns in FACETS.items():
        assert set(columns) <= found["tables"][table]["columns"].keys()
    assert found["tables"]["runs"]["columns"]["val_bpb"] == "Bits per byte on the search shard"


@pytest.mark.skipif(importlib.util.find_spec("datasette") is None,
                    reason="datasette is not installed: pip install datasette")
def test_datasette_shows_columns_facets_and_answers_every_query(tmp_path: Path) -> None:
    ledger, told = tmp_path / "ledger.db", tmp_path / "metadata.json"
    ledger.write_bytes(example.filled())
    value = metadata("ledger")
    told.write_text(json.dumps(value), encoding="utf-8")
    queries = value["databases"]["ledger"]["queries"]
    paths = ["/ledger/runs", "/ledger/runs.json?_facet_size=20&_shape=objects",
             *(f"/ledger/{name}.json?_shape=objects" for name in queries)]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", SERVE, ledger, told, *paths],
                          capture_output=True, text=True, check=True)
    page, rows, *answers = json.loads(done.stdout)
    assert page[0] == 200
    assert "Bits per byte on the search shard" in page[1]
    assert 'id="facet-runs' in page[1] or "facet-info" in page[1]
    shown: Any = json.loads(rows[1])
    assert set(FACETS["runs"]) <= shown["facet_results"].keys()
    assert shown["rows"][0]["id"] > shown["rows"][-1]["id"]
    assert [status for status, _ in answers] == [200] * len(queries)
    assert all(json.loads(text)["ok"] for _, text in answers)
