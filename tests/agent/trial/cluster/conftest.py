"""One real cluster for all tests that look at one."""

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import pytest


@pytest.fixture(scope="session")
def small_cluster(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What tests/support/small_cluster.py tells of one run on a real cluster."""
    if importlib.util.find_spec("distributed") is None:
        pytest.skip("Dask is not installed: pip install -e '.[cluster]'")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.small_cluster", str(tmp_path_factory.mktemp("net"))],
        capture_output=True, text=True, timeout=900,
        env={**os.environ, "DASK_LOGGING__DISTRIBUTED": "critical"})
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
