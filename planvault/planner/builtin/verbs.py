"""What a clause asks to be done: which kind of operation its verb means."""

import re
from enum import StrEnum

from models.tools import HttpBinding, RiskClass, Tool
from planvault.planner.builtin.words import STOP_WORDS, split, stem


class Intent(StrEnum):
    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    ACT = "act"  # a word of its own, such as `pause`: only a tool that is called so does it


_VERBS = {
    Intent.READ: """show list get find search fetch read look view display give tell check see retrieve lookup browse
        count what who which when where how is are was does do did has have any whose name describe summarise summarize
        explain compare recommend suggest know watch calculate compute convert provide discover explore""",
    Intent.CREATE: """create add make send post register submit insert upload publish invite buy pay notify remind save
        put write refund transfer""",
    Intent.UPDATE: """update change set edit modify rename replace assign enable disable adjust switch turn reschedule
        increase decrease raise lower move""",
    Intent.DELETE: "delete remove erase drop clear revoke unsubscribe discard unfollow destroy purge",
}
# Nouns as well as verbs: they order something only before an article, a name or an address ("book a table").
_NOUNS_TOO = frozenset(
    "order email message book place record charge issue open schedule sign share store log mark".split()
)
_BY_STEM = {stem(verb): intent for intent, verbs in reversed(_VERBS.items()) for verb in verbs.split()}
_NOUN_STEMS = frozenset(stem(noun) for noun in _NOUNS_TOO)
_METHODS = {
    Intent.CREATE: frozenset({"POST", "PUT"}),
    Intent.UPDATE: frozenset({"PUT", "PATCH", "POST"}),
    Intent.DELETE: frozenset({"DELETE"}),
}
_USUAL = {Intent.CREATE: ("POST",), Intent.UPDATE: ("PUT", "PATCH"), Intent.DELETE: ("DELETE",), Intent.READ: ("GET",)}
_QUESTION = frozenset("what who which when where how whose is are was were does do did has have".split())
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
