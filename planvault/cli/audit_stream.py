"""The export of the audit log, from the platform or a file, a line at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from planvault.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from cluster.credentials import Credentials


def download(held: Credentials, *, details: bool = True) -> Iterator[bytes]:
    """Pieces as they come. Raises ApiProblem, Unavailable; a stream that breaks off raises Unavailable too."""
    import httpx

    from planvault.cli.options import admin_token
    from planvault.cli.problem import ApiProblem

    url = f"{held.base_url}/admin/v1/orgs/{held.org_id}/audit/export"
    headers = {"Authorization": f"Bearer {admin_token(held)}"}
    query = {"details": str(details).lower()}
    try:
        with (
            httpx.Client(timeout=httpx.Timeout(60.0, connect=5.0)) as http,
            http.stream("GET", url, headers=headers, params=query) as answer,
        ):
            if answer.is_error:
                answer.read()
                raise ApiProblem(answer)
            yield from answer.iter_bytes()
    except httpx.TransportError as error:
        raise Unavailable(f"No complete answer from {held.base_url}: {error}. Is the platform up?") from error


def read(path: Path) -> Iterator[bytes]:
    """Pieces of a file; `-` is the standard input."""
    if str(path) == "-":
        while piece := sys.stdin.buffer.read(64 * 1024):
            yield piece
        return
    try:
        with path.open("rb") as file:
            while piece := file.read(64 * 1024):
                yield piece
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """By line feeds only: details may hold what other splitters take for the end of a line."""
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        yield from whole
    if rest:
        yield rest
