"""What a clause asks to be done: which kind of operation its verb means."""

import re
from collections.abc import Collection
from enum import StrEnum

from models.tools import HttpBinding, RiskClass, Tool
from planvault.planner.builtin.english import STOP_WORDS, words_of
from planvault.planner.builtin.words import canonical, is_plural, split, stem


class Intent(StrEnum):
    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ACT = "act"  # a verb with a meaning of its own, such as `pause`: only a tool that is called so does it


_NOUNS_TOO = words_of("verbs", "nouns_too")
_BY_STEM = {
    stem(verb): intent
    for intent in (Intent.ACT, Intent.DELETE, Intent.UPDATE, Intent.CREATE, Intent.READ)  # the later wins
    for verb in words_of("verbs", intent.value)
}
_NOUN_STEMS = frozenset(stem(noun) for noun in _NOUNS_TOO)
_METHODS = {
    Intent.CREATE: frozenset({"POST", "PUT"}),
    Intent.UPDATE: frozenset({"PUT", "PATCH", "POST"}),
    Intent.DELETE: frozenset({"DELETE"}),
}
_HTTP_METHODS = frozenset(
    {"GET", "POST", "PUT", "PATCH", "HEAD", "OPTIONS"}
)  # in generated names; DELETE is a verb too
_USUAL = {Intent.CREATE: ("POST",), Intent.UPDATE: ("PUT", "PATCH"), Intent.DELETE: ("DELETE",), Intent.READ: ("GET",)}
_QUESTION = words_of("verbs", "question")
_SKIPPED = (STOP_WORDS - _QUESTION) | {"first", "second", "third", "finally", "next"}
_OBJECT = re.compile(
    r"\s+(?:an?|the|my|our|me|him|her|them|it|this|that|these|those|each|every|all|both|new|[A-Z]|\S+@)", re.M
)

Verb = tuple[str, Intent]


def is_verb(word: str) -> bool:
    return stem(word) in _BY_STEM or stem(word) in _NOUN_STEMS


def leading_verb(text: str, actions: Collection[str] = ()) -> Verb | None:
    """The first word that orders or asks something, with what it means; None for a mere noun phrase.

    `actions` are the verbs that tools are called by (`actions_of`): they need no place in our own lists.
    """
    for match in list(re.finditer(r"[A-Za-z]+", text))[:14]:
        word = match[0].lower()
        if word in _SKIPPED or (stem(word) in _NOUN_STEMS and not _OBJECT.match(text, match.end())):
            continue
        intent = _BY_STEM.get(stem(word))
        if intent is not None:
            return word, intent
        if canonical(word) in actions:
            return word, Intent.ACT
    return None


def writes(tool: Tool) -> bool:
    return tool.risk is not RiskClass.READ


def destroys(tool: Tool) -> bool:
    return tool.risk is RiskClass.DESTRUCTIVE or _method(tool) == "DELETE"


def actions_of(tool: Tool) -> frozenset[str]:
    """The verbs that a tool which changes something is called by, in canonical form.

    They lead its name and summary, or end its path behind a placeholder: `/orders/{id}/cancel`. Nouns end paths as
    well: the tracks of `/playlists/{id}/tracks` order nothing.
    """
    if not writes(tool):
        return frozenset()
    names = [word for word in split(tool.name) if word.upper() not in _HTTP_METHODS]
    found = {*names[:1], *split(tool.summary)[:1]}
    path = tool.binding.path.rstrip("/").split("/") if isinstance(tool.binding, HttpBinding) else []
    if len(path) > 1 and path[-2].startswith("{") and not destroys(tool) and not is_plural(path[-1]):
        found |= set(split(path[-1])[:1])
    nouns = {canonical(word) for segment in path if is_plural(segment) for word in split(segment)}
    return frozenset(
        canonical(word)
        for word in found
        if len(word) > 2
        and _BY_STEM.get(stem(word)) is not Intent.READ
        and (stem(word) in _BY_STEM or canonical(word) not in nouns)
    )


def agrees(verb: Verb | None, tool: Tool, actions: Collection[str]) -> bool:
    """Whether the verb is evidence enough for the tool, whose own verbs are `actions`.

    A tool that changes something needs a verb that says so.
    """
    if not writes(tool):
        return verb is None or verb[1] in (Intent.READ, Intent.ACT)
    if verb is None or verb[1] is Intent.READ:
        return False
    if is_named(verb, tool, actions):
        return True
    method = _method(tool)
    return verb[1] is not Intent.ACT and (method is None or method in _METHODS[verb[1]])


def is_named(verb: Verb, tool: Tool, actions: Collection[str]) -> bool:
    """Whether a tool that changes something is called by this verb: `pause` and `/player/pause`."""
    word, intent = verb
    if intent is Intent.READ or not writes(tool):
        return False
    if canonical(word) in actions:
        return True
    # “notify Ada” means to send a notification: the verb is the name of the thing. Nobody who says “rate it” wants a
    # rating deleted.
    things = {canonical(each) for each in split(tool.name)[1:]}
    return intent is Intent.ACT and not destroys(tool) and canonical(word) in things


def fits_method(verb: Verb | None, tool: Tool) -> bool:
    """Whether the tool's method is the usual one for the verb."""
    return verb is not None and _method(tool) in _USUAL.get(verb[1], ())


def _method(tool: Tool) -> str | None:
    return tool.binding.method if isinstance(tool.binding, HttpBinding) else None
