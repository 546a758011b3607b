"""A small shop and a library as tools: what planners are tested on."""

import zlib
from collections.abc import Mapping
from uuid import UUID

from models.base import JsonObject
from models.ids import IntegrationId, OrgId, ToolId
from models.tools import HttpBinding, OutputField, ParamLocation, RiskClass, Tool, ToolParam

ORG = OrgId(UUID(int=1))
INTEGRATION = IntegrationId(UUID(int=2))
_RISKS = {"GET": RiskClass.READ, "DELETE": RiskClass.DESTRUCTIVE}


def tool(
    name: str,
    method: str,
    path: str,
    summary: str,
    params: Mapping[str, JsonObject | str] | None = None,
    outputs: Mapping[str, str] | None = None,
    *,
    risk: RiskClass | None = None,
) -> Tool:
    """Parameters are `name` (required) or `name?`, typed by JSON type or schema; outputs go by dotted path."""
    return Tool(
        id=ToolId(UUID(int=zlib.crc32(f"{name} {path}".encode()))),
        org_id=ORG,
        integration_id=INTEGRATION,
        name=name,
        group="shop",
        summary=summary,
        params=tuple(_param(key, schema, path) for key, schema in (params or {}).items()),
        outputs=tuple(
            OutputField(path=tuple("*" if part == "*" else part for part in key.split(".")), type=kind)
            for key, kind in (outputs or {}).items()
        ),
        binding=HttpBinding(method=method, path=path),
        risk=risk or _RISKS.get(method, RiskClass.WRITE),
    )


def _param(key: str, schema: JsonObject | str, path: str) -> ToolParam:
    name = key.rstrip("?")
    typed: JsonObject = {"type": schema} if isinstance(schema, str) else schema
    location = ParamLocation.PATH if "{" + name + "}" in path else ParamLocation.QUERY
    return ToolParam(name=name, location=location, wire_name=name, schema=typed, required=not key.endswith("?"))


LIST_CUSTOMERS = tool(
    "list_customers", "GET", "/customers", "List customers", {"limit?": "integer"},
    {
        "items": "array", "items.*.id": "integer", "items.*.name": "string", "items.*.email": "string",
        "total": "integer",
    },
)  # fmt: skip
GET_CUSTOMER = tool(
    "get_customer", "GET", "/customers/{customer_id}", "Get a customer", {"customer_id": "integer"},
    {"id": "integer", "name": "string", "email": "string"},
)  # fmt: skip
CREATE_CUSTOMER = tool(
    "create_customer", "POST", "/customers", "Create a customer",
    {"name": "string", "email": {"type": "string", "format": "email"}, "vip?": "boolean"},
    {"id": "integer", "name": "string"},
)  # fmt: skip
DELETE_CUSTOMER = tool(
    "delete_customer", "DELETE", "/customers/{customer_id}", "Delete a customer", {"customer_id": "integer"}
)
LIST_ORDERS = tool(
    "list_orders", "GET", "/orders", "List orders",
    {"customer_id?": "integer", "status?": {"type": "string", "enum": ["open", "shipped", "cancelled"]}},
    {"items": "array", "items.*.id": "integer", "items.*.customer_id": "integer", "items.*.status": "string"},
)  # fmt: skip
GET_ORDER = tool(
    "get_order", "GET", "/orders/{order_id}", "Get an order", {"order_id": "integer"},
    {"id": "integer", "customer_id": "integer", "status": "string", "total": "number"},
)  # fmt: skip
CANCEL_ORDER = tool(
    "cancel_order", "POST", "/orders/{order_id}/cancel", "Cancel an order",
    {"order_id": "integer", "reason?": "string"},
    {"id": "integer", "status": "string"},
)  # fmt: skip
SEND_NOTIFICATION = tool(
    "send_notification", "POST", "/notifications", "Send a notification to a customer",
    {"customer_id": "integer", "message": "string", "channel?": {"type": "string", "enum": ["email", "sms"]}},
    {"id": "string"},
)  # fmt: skip
SEARCH_BOOKS = tool(
    "search_books", "GET", "/search/books", "Search books", {"query": "string"},
    {"results": "array", "results.*.id": "string", "results.*.title": "string"},
)  # fmt: skip
BOOK_REVIEWS = tool(
    "book_reviews", "GET", "/books/{book_id}/reviews", "Reviews of a book", {"book_id": "string"},
    {"reviews": "array", "reviews.*.id": "string", "reviews.*.text": "string"},
)  # fmt: skip
SHOP = (
    LIST_CUSTOMERS, GET_CUSTOMER, CREATE_CUSTOMER, DELETE_CUSTOMER, LIST_ORDERS, GET_ORDER, CANCEL_ORDER,
    SEND_NOTIFICATION,
)  # fmt: skip
LIBRARY = (SEARCH_BOOKS, BOOK_REVIEWS)
