"""Follows `$ref` inside one document.

Local references only (RFC 6901 pointers in fragments): what stands in another file or at a URL is a problem of the
operation that asks for it, never a request.
"""

from urllib.parse import unquote

from models.base import JsonObject, JsonValue

MAX_HOPS = 32  # references that lead to references


class RefProblem(Exception):
    """A reference that leads nowhere we follow. The message is for the operation's report."""


def pointer_tokens(ref: str) -> list[str]:
    """The unescaped tokens of a local reference. Raises RefProblem for any other kind."""
    if not ref.startswith("#"):
        raise RefProblem(f"`{_short(ref)}` is an external reference; bundle the document into one file first.")
    pointer = unquote(ref[1:])
    if pointer == "":
        return []
    if not pointer.startswith("/"):
        raise RefProblem(f"`{_short(ref)}` is a named anchor, which is not supported.")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer[1:].split("/")]


class Resolver:
    """Looks references up in one document, which must not change meanwhile."""

    def __init__(self, document: JsonObject) -> None:
        self._document = document
        self._found: dict[str, JsonValue] = {}

    def lookup(self, ref: str) -> JsonValue:
        """Raises RefProblem where it leads nowhere. Most references are asked for many times."""
        if ref not in self._found:
            self._found[ref] = self._at(ref)
        return self._found[ref]

    def _at(self, ref: str) -> JsonValue:
        node: JsonValue = self._document
        for token in pointer_tokens(ref):
            if isinstance(node, dict) and token in node:
                node = node[token]
            elif isinstance(node, list) and token.isdecimal() and len(token) < 8 and int(token) < len(node):
                node = node[int(token)]
            else:
                raise RefProblem(f"`{_short(ref)}` points at nothing in this document.")
        return node

    def follow(self, node: JsonValue) -> tuple[JsonObject, tuple[str, ...]]:
        """What a node stands for, with the references passed on the way.

        Annotations beside a `$ref` (allowed since 3.1, common before) win over those of its target.
        """
        passed: list[str] = []
        beside: JsonObject = {}
        while isinstance(node, dict) and isinstance(ref := node.get("$ref"), str):
            if ref in passed or len(passed) >= MAX_HOPS:
                raise RefProblem(f"`{_short(ref)}` refers to itself.")
            passed.append(ref)
            beside = {**{key: node[key] for key in _BESIDE_REF if key in node}, **beside}
            node = self.lookup(ref)
        if node is True:
            node = {}
        if not isinstance(node, dict):
            what = f"`{_short(passed[-1])}` points at" if passed else "There is"
            raise RefProblem(f"{what} something that is no object.")
        return ({**node, **beside} if beside else node), tuple(passed)


_BESIDE_REF = ("description", "title", "default", "readOnly", "writeOnly", "nullable", "deprecated")


def _short(ref: str) -> str:
    return ref if len(ref) <= 120 else f"{ref[:117]}…"
