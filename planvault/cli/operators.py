"""A thin client of the operators' API: organisations of an installation, on a port of their own."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import httpx
from pydantic import TypeAdapter

from models.base import JsonObject
from planvault.cli.problem import ApiProblem
from planvault.errors import Unavailable

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_ORGS = "/superadmin/v1/orgs"


class OperatorClient:
    """Raises ApiProblem for a refusal, Unavailable where nobody answers."""

    def __init__(self, base_url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(
            base_url=base_url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(30.0, connect=5.0),
            transport=transport,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def organizations(self) -> Iterator[JsonObject]:
        """Oldest first, the deleted ones that can be restored included."""
        query: dict[str, str] = {}
        while True:
            page = self._call("GET", _ORGS, query=query)
            items = page.get("items")
            yield from (item for item in (items if isinstance(items, list) else []) if isinstance(item, dict))
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str):
                return
            query = {"cursor": cursor}

    def create(self, name: str, owner_email: str) -> JsonObject:
        """`{organization, invitation?}`; the invitation's token is in this answer only."""
        return self._call("POST", _ORGS, body={"name": name, **({"ownerEmail": owner_email} if owner_email else {})})

    def invite_owner(self, org_id: str, email: str) -> JsonObject:
        return self._call("POST", f"{_ORGS}/{org_id}/owner-invitation", body={"email": email})

    def delete(self, org_id: str, name: str) -> JsonObject:
        """`name` is the organisation's, to be sure that it is the one that is meant."""
        return self._call("DELETE", f"{_ORGS}/{org_id}", query={"confirm": name})

    def restore(self, org_id: str) -> JsonObject:
        return self._call("POST", f"{_ORGS}/{org_id}/restore")

    def _call(
        self, method: str, path: str, *, body: JsonObject | None = None, query: dict[str, str] | None = None
    ) -> JsonObject:
        try:
            response = self._http.request(method, path, json=body, params=query)
        except httpx.TransportError as error:
            raise Unavailable(
                f"No answer from the operators' API at {self._http.base_url}: {error}. Is it served there "
                "(PLANVAULT_SUPERADMIN_PORT)?"
            ) from error
        if response.is_error:
            raise ApiProblem(response)
        return _OBJECT.validate_json(response.content)
