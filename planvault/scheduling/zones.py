"""IANA time zones, from the `tzdata` package only.

A machine's own zone files differ from host to host and are missing in small images; two schedulers must agree.
"""

from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import tzdata


@cache
def zone_names() -> frozenset[str]:
    """Every zone that there is, old names included."""
    return frozenset(resources.files(tzdata).joinpath("zones").read_text(encoding="utf-8").split())


@cache
def zone(name: str) -> ZoneInfo:
    """Raises KeyError for a name that is not in `zone_names`."""
    if name not in zone_names():
        raise KeyError(name)
    with resources.files(tzdata).joinpath("zoneinfo", *name.split("/")).open("rb") as data:
        return ZoneInfo.from_file(data, key=name)
