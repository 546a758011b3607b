"""Paths of documents → aliases of their integrations. Pure."""

import hashlib
import re
from collections.abc import Iterable

MAX_ALIAS = 63
_OTHER = re.compile(r"[^a-z0-9]+")
_SUFFIX = re.compile(r"\.(json|ya?ml)$", re.IGNORECASE)
_MARK = 6  # hex digits of the path's hash


def alias_of(prefix: str, path: str) -> str:
    """`amazonaws.com/ec2.json` → `amazonaws-com-ec2`: lower case, a letter first, at most 63 characters.

    A path that does not fit is cut and marked with its hash. Depends on nothing but the path.
    """
    words = _OTHER.sub("-", _SUFFIX.sub("", path).lower()).strip("-")
    alias = f"{prefix}-{words}".strip("-") if prefix else words
    if not alias[:1].isalpha():
        alias = f"api-{alias}".rstrip("-")
    return alias if len(alias) <= MAX_ALIAS else _marked(alias, path)


def give_aliases(prefix: str, paths: Iterable[str], taken: Iterable[str]) -> dict[str, str]:
    """An alias for each path; where two paths say the same, or another integration has it, the path's hash is added."""
    held = set(taken)
    given: dict[str, str] = {}
    for path in sorted(paths):
        alias = alias_of(prefix, path)
        if alias in held:
            alias = _marked(alias, path)
        held.add(alias)
        given[path] = alias
    return given


def marked_alias(prefix: str, path: str) -> str:
    """The alias of a path whose plain one was taken by somebody at the last moment."""
    return _marked(alias_of(prefix, path), path)


def _marked(alias: str, path: str) -> str:
    mark = hashlib.sha256(path.encode()).hexdigest()[:_MARK]
    if alias.endswith(f"-{mark}"):
        mark = hashlib.sha256(path.encode()).hexdigest()[: _MARK * 2]
    return f"{alias[: MAX_ALIAS - len(mark) - 1].rstrip('-_')}-{mark}"
