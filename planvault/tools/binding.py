"""Secrets become values here and nowhere else: in arguments, and in an integration's auth templates."""

import re
from collections.abc import Mapping

from models.base import JsonValue
from models.values import SecretHandle, SecretText, Value
from planvault.ports import SecretLookup

# Headers, and `?query` parameters, whose whole value is a credential where a template spells it out.
_CREDENTIAL = re.compile(r"auth|cookie|key|token|secret|passw|signature|session", re.IGNORECASE)
# Whatever the header is called, what follows an authentication scheme is a credential.
_SCHEME = re.compile(r"\s*(?:bearer|basic|digest|token|apikey)\s+\S", re.IGNORECASE)
_HANDLE = re.compile(r"\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


class SecretBinder:
    """Binds the secrets of one call; each is looked up once. `values` are those bound so far, to be redacted."""

    def __init__(self, lookup: SecretLookup) -> None:
        self._lookup = lookup
        self._found: dict[str, str] = {}
        self._written_out: list[str] = []

    @property
    def values(self) -> tuple[str, ...]:
        return (*self._found.values(), *self._written_out)

    async def args(self, args: Mapping[str, Value]) -> dict[str, JsonValue]:
        """Raises what the look-up raises, NotFound for a name that no level defines."""
        return {name: await self._value(value) for name, value in args.items()}

    async def templates(self, templates: Mapping[str, str]) -> dict[str, str]:
        """`Bearer {{secrets.TOKEN}}` with its value; a template without a handle stays as it is."""
        self._written_out += [part for item in templates.items() for part in written_out(*item)]
        return {name: await self._template(template) for name, template in templates.items()}

    async def _value(self, value: Value) -> JsonValue:
        if isinstance(value, SecretText):
            return "".join([await self._part(part) for part in value.parts])
        if isinstance(value, list):
            return [await self._value(item) for item in value]
        if isinstance(value, dict):
            return {key: await self._value(item) for key, item in value.items()}
        return value

    async def _part(self, part: str | SecretHandle) -> str:
        return await self._secret(part.name) if isinstance(part, SecretHandle) else part

    async def _template(self, template: str) -> str:
        # split() with one group: text, name, text, name, …, text
        pieces = _HANDLE.split(template)
        return "".join([await self._secret(piece) if index % 2 else piece for index, piece in enumerate(pieces)])

    async def _secret(self, name: str) -> str:
        if name not in self._found:
            self._found[name] = await self._lookup(name)
        return self._found[name]


def written_out(name: str, template: str) -> tuple[str, ...]:
    """The credential that a template holds itself, where it should have had a handle: whole, and behind its scheme."""
    if _HANDLE.search(template) or not (_CREDENTIAL.search(name) or _SCHEME.match(template)):
        return ()
    scheme, blank, credential = template.strip().partition(" ")
    return (template, credential) if blank and scheme.isalpha() else (template,)
