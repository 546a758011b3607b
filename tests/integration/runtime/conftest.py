from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this module's database keeps its keyset: one for all of the module's tests, since they share the rows."""
    return tmp_path_factory.mktemp("keys")
