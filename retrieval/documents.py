"""What the indexes store of a tool: one short text for the embedding model, lexemes, entities. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from models.tools import HttpBinding, Tool
from retrieval.lexical import impacts_of
from retrieval.links import produced_entities, required_entities

# MiniLM reads 256 tokens, about 1,100 characters of English; the rest of a text is silently cut. The bounds keep a
# long description from pushing the path and the parameter names out of the window.
MAX_DESCRIPTION = 480
MAX_PARAMETERS = 24
MAX_DOCUMENT = 1_400

_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-./:\s]+")
# Bounded, and no two repetitions of the same characters side by side: a text is read in its length's time.
_MARKDOWN_LINK = re.compile(r"!?\[([^\]]{0,200})\]\([^)]{0,1000}\)")
_MARKUP = re.compile(r"<[^<>]{1,200}>|[`*|]+|^#{1,6}\s+|^[^\S\n]*[-:|][-:| ]*$", re.MULTILINE)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """`document`: the text to embed. `impacts`: lexeme → BM25 weight in (0, 1), which an index multiplies by the
    lexeme's inverse document frequency and adds up. `requires`, `produces`: entities (retrieval.links)."""

    document: str
    impacts: Mapping[str, float]
    requires: tuple[str, ...]
    produces: tuple[str, ...]


def index_entry(tool: Tool) -> IndexEntry:
    """Deterministic in the tool's definition and independent of all other tools."""
    return IndexEntry(tool_document(tool), impacts_of(tool), required_entities(tool), produced_entities(tool))


def words_of(name: str) -> str:
    """`getHTTPResponse_code` → `get http response code`."""
    return " ".join(part for part in _WORD_BOUNDARY.split(name) if part).lower()


def tool_document(tool: Tool) -> str:
    """Name and group as words, summary, bounded description, method and path, parameter names; one line.

    Deterministic in the tool's definition, so an unchanged tool keeps its embedding.
    """
    summary, description = _plain(tool.summary), _plain(tool.description)
    # Generated descriptions often begin with the summary: said once is enough.
    if description.startswith(summary):
        summary = ""
    sentences = [
        f"{words_of(tool.name)} ({words_of(tool.group)})",
        summary,
        _shorten(description, MAX_DESCRIPTION),
        f"{tool.binding.method} {tool.binding.path}" if isinstance(tool.binding, HttpBinding) else "",
        _parameters(tool),
    ]
    text = ". ".join(sentence.rstrip(". ") for sentence in sentences if sentence.rstrip(". "))
    return _shorten(text, MAX_DOCUMENT)


def _parameters(tool: Tool) -> str:
    names = [words_of(param.name) for param in tool.params[:MAX_PARAMETERS]]
    return f"Parameters: {', '.join(names)}" if names else ""


def _plain(text: str) -> str:
    """Markdown and HTML without their marks and link targets, white space collapsed."""
    return _SPACE.sub(" ", _MARKUP.sub(" ", _MARKDOWN_LINK.sub(r"\1", text))).strip()


def _shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words."""
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0]
