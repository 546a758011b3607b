"""Named SQL: one `.sql` file a repository, every query under a line `-- name: what_it_does` and a line of purpose."""

import re
from functools import cache
from importlib import resources
from types import MappingProxyType

_NAME = re.compile(r"^-- name: (?P<name>[a-z_]+)\s*$", re.MULTILINE)


@cache
def load(package: str, file: str) -> MappingProxyType[str, str]:
    """Queries of `file` (package data of `package`) by name. A file's text before its first name is commentary."""
    text = resources.files(package).joinpath(file).read_text(encoding="utf-8")
    pieces = _NAME.split(text)
    names, bodies = pieces[1::2], pieces[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{file} names a query twice")
    return MappingProxyType({name: body.strip() for name, body in zip(names, bodies, strict=True)})
