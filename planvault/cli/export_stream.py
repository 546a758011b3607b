"""The file of an export, fetched piece by piece and compared with what the platform says of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from planvault.cli.options import admin_token
from planvault.cli.problem import ApiProblem
from planvault.errors import Conflict, RecordDamaged, Unavailable

if TYPE_CHECKING:
    from cluster.credentials import Credentials

_SILENCE_S = 60.0


def fetch(
    held: Credentials, export_id: str, file: Path, sha256: str, transport: httpx.BaseTransport | None = None
) -> None:
    """Write the file, readable by its owner alone; what came broken is removed.

    Raises Conflict where the file is there already, ApiProblem, Unavailable, RecordDamaged.
    """
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as fault:
        raise Conflict(f"{file} is there already. Name another file with --out.") from fault
    try:
        with os.fdopen(descriptor, "wb") as out:
            digest = hashlib.sha256()
            with httpx.Client(transport=transport, timeout=httpx.Timeout(_SILENCE_S, connect=5.0)) as http:
                url = f"{held.base_url}/admin/v1/orgs/{held.org_id}/gdpr/exports/{export_id}/file"
                with http.stream("GET", url, headers={"Authorization": f"Bearer {admin_token(held)}"}) as response:
                    if response.is_error:
                        response.read()
                        raise ApiProblem(response)
                    for piece in response.iter_bytes():
                        digest.update(piece)
                        out.write(piece)
        if digest.hexdigest() != sha256:
            raise RecordDamaged("What came is not what the platform wrote. Fetch it again.")
    except BaseException as fault:
        file.unlink()
        if isinstance(fault, httpx.TransportError):
            raise Unavailable(f"The download broke: {fault}. The export is kept; fetch it again.") from fault
        raise
