"""The tools of the examples in docs/plan-language.md, made from the signatures in its `tools` block."""

import re
from uuid import UUID

from models.base import JsonObject
from models.ids import IntegrationId, OrgId, ToolId
from models.tools import NativeBinding, ParamLocation, Tool, ToolParam

SECRETS = ("SHOP_TOKEN", "MAIL_KEY")
_SIGNATURE = re.compile(r"([\w.]+)\((.*)\)")
_PARAM = re.compile(r"([\w-]+)(\?)?: (\w+)(?:\[([\w|]+)\])?")


def tool(signature: str) -> Tool:
    """`name(required: type, optional?: string[a|b])` → a tool."""
    match = _SIGNATURE.fullmatch(signature.strip())
    assert match, signature
    params = []
    for name, optional, kind, options in _PARAM.findall(match[2]):
        schema: JsonObject = {"type": kind}
        if options:
            schema["enum"] = list(options.split("|"))
        params.append(ToolParam(name=name, location=ParamLocation.QUERY, schema=schema, required=not optional))
    return Tool(
        id=ToolId(UUID(bytes=match[1].encode()[:16].ljust(16))),
        org_id=OrgId(UUID(int=1)),
        integration_id=IntegrationId(UUID(int=2)),
        name=match[1],
        group="shop",
        params=tuple(params),
        binding=NativeBinding(function=match[1]),
    )


def tools(block: str) -> list[Tool]:
    return [tool(line) for line in block.splitlines() if line.strip()]
