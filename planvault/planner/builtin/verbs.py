"""What a clause asks to be done: which kind of operation its verb means."""

import re
from enum import StrEnum

from models.tools import HttpBinding, RiskClass, Tool
from planvault.planner.builtin.english import STOP_WORDS, words_of
from planvault.planner.builtin.words import split, stem


class Intent(StrEnum):
    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ACT = "act"  # a word of its own, such as `pause`: only a tool that is called so does it


_NOUNS_TOO = words_of("verbs", "nouns_too")
_BY_STEM = {
    stem(verb): intent
    for intent in (Intent.DELETE, Intent.UPDATE, Intent.CREATE, Intent.READ)  # the later wins
    for verb in words_of("verbs", intent.value)
}
_NOUN_STEMS = frozenset(stem(noun) for noun in _NOUNS_TOO)
_METHODS = {
    Intent.CREATE: frozenset({"POST", "PUT"}),
    Intent.UPDATE: frozenset({"PUT", "PATCH", "POST"}),
    Intent.DELETE: frozenset({"DELETE"}),
}
_USUAL = {Intent.CREATE: ("POST",), Intent.UPDATE: ("PUT", "PATCH"), Intent.DELETE: ("DELETE",), Intent.READ: ("GET",)}
_QUESTION = words_of("verbs", "question")
_SKIPPED = (STOP_WORDS - _QUESTION) | {"first", "second", "third", "finally", "next"}
_OBJECT = re.compile(
    r"\s+(?:an?|the|my|our|me|him|her|them|it|this|that|these|those|each|every|all|both|new|[A-Z]|\S+@)", re.M
)

Verb = tuple[str, Intent]


def is_verb(word: str) -> bool:
    return stem(word) in _BY_STEM or stem(word) in _NOUN_STEMS


def leading_verb(text: str) -> Verb | None:
    """The first word that orders or asks something, with what it means; the first content word if none does."""
    fallback: Verb | None = None
    for match in list(re.finditer(r"[A-Za-z]+", text))[:14]:
        word = match[0].lower()
        if word in _SKIPPED:
            continue
        intent = _BY_STEM.get(stem(word))
        if intent is None and stem(word) in _NOUN_STEMS and _OBJECT.match(text, match.end()):
            intent = Intent.CREATE
        if intent is not None:
            return word, intent
        fallback = fallback or (word, Intent.ACT)
    return fallback


def writes(tool: Tool) -> bool:
    return tool.risk is not RiskClass.READ


def agrees(verb: Verb | None, tool: Tool) -> bool:
    """Whether the verb is evidence enough for the tool: a tool that changes something needs a verb that says so."""
    if verb is None:
        return not writes(tool)
    if is_named(verb, tool):
        return True
    intent = verb[1]
    if not writes(tool):
        return intent in (Intent.READ, Intent.ACT)
    if intent in (Intent.READ, Intent.ACT):
        return False
    method = _method(tool)
    return method is None or method in _METHODS[intent]


def is_named(verb: Verb, tool: Tool) -> bool:
    """Whether a tool that changes something is called by this verb: `pause` and `/player/pause`."""
    word, intent = verb
    if intent is Intent.READ or not writes(tool) or len(word) < 3:
        return False
    path = tool.binding.path if isinstance(tool.binding, HttpBinding) else ""
    return stem(word) in {stem(each) for text in (tool.name, path, tool.summary) for each in split(text)}


def fits_method(verb: Verb | None, tool: Tool) -> bool:
    """Whether the tool's method is the usual one for the verb."""
    return verb is not None and _method(tool) in _USUAL.get(verb[1], ())


def _method(tool: Tool) -> str | None:
    return tool.binding.method if isinstance(tool.binding, HttpBinding) else None
