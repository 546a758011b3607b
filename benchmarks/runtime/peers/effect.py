"""The effect of the crash experiment: one POST, sent once. Standard library only."""

from __future__ import annotations

import urllib.request


def cause(url: str) -> None:
    request = urllib.request.Request(f"{url}/effect", data=b"{}", method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
