"""Names of the wire → names a plan can use. Deterministic, so that an unchanged document keeps its names."""

import keyword
import re
import unicodedata
from collections.abc import Container

from planvault.plan.names import RESERVED

MAX_NAME = 64

_OTHER = re.compile(r"[^A-Za-z0-9_]+")


def identifier(text: str, fallback: str) -> str:
    """`text` as a Python identifier of at most 64 ASCII characters that is no keyword and begins with a letter."""
    ascii_text = unicodedata.normalize("NFKD", text[:400]).encode("ascii", "ignore").decode()
    name = _OTHER.sub("_", ascii_text).strip("_")
    if not name:
        return fallback
    if not name[0].isalpha():
        name = f"{fallback}_{name}"
    name = name[:MAX_NAME].rstrip("_")
    return f"{name[: MAX_NAME - 1]}_" if keyword.iskeyword(name) else name


def tool_name(text: str, fallback: str) -> str:
    """As `identifier`, and no word that means something in the plan language."""
    name = identifier(text, fallback)
    return f"{name}_tool" if name in RESERVED else name


def operation_name(method: str, path: str) -> str:
    """A name for an operation without an operationId: `GET /orders/{orderId}` → `get_orders_by_orderId`."""
    words = [method.lower()]
    for segment in path.split("/"):
        if not segment:
            continue
        words.append(re.sub(r"\{([^{}]*)\}", r" by \1 ", segment).strip())
    return "_".join(words)


def unique(name: str, taken: Container[str]) -> str:
    """`name`, or `name_2`, `name_3` …, still at most 64 characters."""
    candidate, number = name, 2
    while candidate in taken:
        suffix = f"_{number}"
        candidate, number = f"{name[: MAX_NAME - len(suffix)]}{suffix}", number + 1
    return candidate
