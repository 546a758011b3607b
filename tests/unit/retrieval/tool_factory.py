"""Tools for retrieval tests, with only what a test cares about."""

from uuid import UUID

from models.ids import IntegrationId, OrgId, ToolId
from models.tools import HttpBinding, ParamLocation, Tool, ToolParam

ORG = OrgId(UUID("01900000-0000-7000-8000-000000000001"))
INTEGRATION = IntegrationId(UUID("01900000-0000-7000-8000-000000000002"))


def http_tool(
    name: str,
    *,
    method: str = "GET",
    path: str = "/things",
    group: str = "shop",
    summary: str = "",
    description: str = "",
    params: tuple[str, ...] = (),
    number: int = 1,
) -> Tool:
    return Tool(
        id=ToolId(UUID(int=number)),
        org_id=ORG,
        integration_id=INTEGRATION,
        name=name,
        group=group,
        summary=summary,
        description=description,
        params=tuple(ToolParam(name=param, location=ParamLocation.QUERY, wire_name=param) for param in params),
        binding=HttpBinding(method=method, path=path),
    )
