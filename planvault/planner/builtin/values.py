"""Values that a prompt spells out: quoted text, ids, numbers, dates, addresses, names of things."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from models.base import JsonScalar
from planvault.planner.builtin.verbs import is_verb
from planvault.planner.builtin.words import STOP_WORDS, canonical, split


class Kind(StrEnum):
    QUOTED = "quoted"
    EMAIL = "email"
    URL = "url"
    UUID = "uuid"
    DATE = "date"
    DATETIME = "datetime"
    CODE = "code"  # ORD-1001, cus_12, #77: letters or signs together with digits
    INTEGER = "integer"
    NUMBER = "number"
    NAME = "name"  # capitalised words
    TAIL = "tail"  # what follows `saying`, `called`, `named`, up to the clause's end
    PHRASE = "phrase"  # what follows `key =` or `key:`
    ORDINAL = "ordinal"  # `second season`: a position, 1-based


@dataclass(frozen=True, slots=True)
class Mention:
    """One value at `start:end` of the prompt. `hints` are words near it that may name its parameter."""

    value: JsonScalar
    kind: Kind
    start: int
    end: int
    hints: tuple[str, ...] = ()  # nearest first: the words before it, and one noun after a number
    key: str = ""  # explicit: `key=value`, `key: value`, `named …` → name


ORDINALS = {
    "first": 1,
    "1st": 1,
    "second": 2,
    "2nd": 2,
    "third": 3,
    "3rd": 3,
    "fourth": 4,
    "4th": 4,
    "fifth": 5,
    "5th": 5,
}
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join(f"{month}|{month[:3]}" for month in _MONTHS)
_NAME_WORD = r"[A-ZÀ-ÞА-Я][\w'’&.-]*"
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        Kind.QUOTED,
        re.compile(
            r"\"([^\"]{1,2000})\"|“([^”]{1,2000})”|«([^»]{1,2000})»|(?<!\w)['‘]([^'’]{1,2000})['’](?!\w)|`([^`]{1,2000})`"
        ),
    ),
    (Kind.URL, re.compile(r"\bhttps?://[^\s<>\"'”]+[^\s<>\"'”.,;:!?)]")),
    (Kind.EMAIL, re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")),
    (Kind.UUID, re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b")),
    (Kind.DATETIME, re.compile(r"\b\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?")),
    (
        Kind.DATE,
        re.compile(
            rf"\b\d{{4}}-\d{{2}}-\d{{2}}\b|\b(?:{_MONTH})\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}\b|\b\d{{1,2}}(?:st|nd|rd|th)? (?:{_MONTH})\.? \d{{4}}\b|\b(?:today|tomorrow|yesterday)\b",
            re.I,
        ),
    ),
    (
        Kind.CODE,
        re.compile(
            r"#\w+|\b(?!top-)(?=[\w-]*\d)(?=[\w-]*[A-Za-z_-])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)+\b|\b(?=\w*\d)[A-Za-z]+\w*\b|\b\d+[A-Za-z]\w*\d\w*\b"
        ),
    ),
    (Kind.NUMBER, re.compile(r"(?<![\w.])-?\d+(?:,\d{3})+(?:\.\d+)?(?![\w])|(?<![\w.])-?\d+\.\d+(?![\w.]*\d)")),
    (Kind.INTEGER, re.compile(r"(?<![\w.])-?\d{1,18}(?!\w)(?!\.\d)")),
    (
        Kind.NAME,
        re.compile(rf"{_NAME_WORD}(?:(?:\s+(?:of|the|de|van|von|la|&)){{0,2}}\s+(?:{_NAME_WORD}|\d+))*"),
    ),
)
_KEYED = re.compile(r"(?<![\w/])([A-Za-z][\w.-]{0,60})\s*(?:=|:(?!//))\s*(?=\S)")
_NAMED = re.compile(
    r"\b((?:name|call|title) (?:it|them|this|him|her)(?: as)?|(?:rename|retitle) (?:it|them|.{1,60}?) (?:to|as)|named|called|titled|entitled|saying|that says|with the (?:text|message|subject|title|name|body))\s+",
    re.I,
)
_BARE = re.compile(r"[^\s,;]+")
_TAIL = re.compile(r".+?(?=$|[;\n]|[.!?](?:\s|$)|,? and (?:then )?[a-z]+ )")
_NAMED_KEYS = {
    "named": "name",
    "called": "name",
    "titled": "title",
    "entitled": "title",
    "saying": "message",
    "that says": "message",
}


def mentions(text: str, now: datetime, vocabulary: Collection[str] = ()) -> tuple[Mention, ...]:
    """Every value of `text` in order of appearance, none overlapping another.

    `now` gives `today` its date. Capitalised words of the `vocabulary` (the tools' own words) are no names.
    """
    taken = [False] * len(text)
    found: list[Mention] = []
    for mention in _candidates(text, now, vocabulary):
        if not any(taken[mention.start : mention.end]):
            taken[mention.start : mention.end] = [True] * (mention.end - mention.start)
            found.append(mention)
    return tuple(sorted(found, key=lambda mention: mention.start))


def _candidates(text: str, now: datetime, vocabulary: Collection[str]) -> Iterator[Mention]:
    """Explicit forms first, then patterns from the most to the least particular."""
    keys = {match.end(): match[1] for match in _KEYED.finditer(text)}
    keys |= {match.end(): _named_key(match[1]) for match in _NAMED.finditer(text)}
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            if kind is Kind.NAME:
                yield from _name(text, match, keys, vocabulary)
                continue
            value = _value(kind, match, now)
            if value is not None:
                yield Mention(value, kind, match.start(), match.end(), _hints(text, match), keys.get(match.start(), ""))
        if kind is Kind.INTEGER:
            yield from _unquoted(text, keys)
            yield from _ordinals(text)


def _ordinals(text: str) -> Iterator[Mention]:
    for match in re.finditer(rf"\b({'|'.join(ORDINALS)})\s+(\w+)", text, re.I):
        yield Mention(ORDINALS[match[1].lower()], Kind.ORDINAL, match.start(1), match.end(1), (match[2].lower(),))


def _unquoted(text: str, keys: dict[int, str]) -> Iterator[Mention]:
    """`status=open` and `saying we are closed` hold values that look like plain words."""
    for start, key in keys.items():
        tail = text[:start].rstrip()[-1:] not in "=:"
        match = (_TAIL if tail else _BARE).match(text, start)
        value = match[0].strip().rstrip(".!?") if match else ""
        if match and value:
            yield Mention(value, Kind.TAIL if tail else Kind.PHRASE, start, start + len(value), (), key)


def _name(text: str, match: re.Match[str], keys: dict[int, str], vocabulary: Collection[str]) -> Iterator[Mention]:
    """Capitalised words, without those that only begin the sentence or are the tools' own."""
    start, end = match.span()
    words = [(each.start() + start, each[0]) for each in re.finditer(r"[\w'’&.-]+", text[start:end])]
    before = text[:start].rstrip()
    begins = not before or before[-1] in ".!?;:\n"
    while words and _is_plain(words[0][1], vocabulary) and (begins or len(words) > 1):
        words, begins = words[1:], False
    if not words or all(_is_plain(word, vocabulary) for _, word in words):
        return
    if len(words) == 1 and words[0][0] == start and begins and not words[0][1].endswith(("'s", "’s")):
        return  # one word at a sentence's beginning is capitalised whatever it is
    start = words[0][0]
    value = re.sub(r"['’]s$", "", text[start:end].rstrip(".-'’"))
    span = re.compile(re.escape(value)).match(text, start)
    if value and span:
        yield Mention(value, Kind.NAME, span.start(), span.end(), _hints(text, span), keys.get(start, ""))


def _is_plain(word: str, vocabulary: Collection[str]) -> bool:
    """Whether a capitalised word need not be a name: a stop word, a verb, or a word of the tools."""
    parts = split(word)
    return all(part in STOP_WORDS or is_verb(part) or canonical(part) in vocabulary for part in parts)


def _hints(text: str, match: re.Match[str]) -> tuple[str, ...]:
    before = split(re.split(r"[.!?;\n]", text[: match.start()])[-1])[-4:][::-1]
    after = [] if text[match.end() : match.end() + 1] in ".!?;,\n" else split(text[match.end() :])[:1]
    return tuple(before + [word for word in after if word not in STOP_WORDS])


def _named_key(phrase: str) -> str:
    phrase = phrase.lower()
    if phrase.startswith(("name ", "call ", "rename ")):
        return "name"
    if phrase.startswith(("title ", "retitle ")):
        return "title"
    return _NAMED_KEYS.get(phrase, phrase.rsplit(" ", 1)[-1])


def _value(kind: Kind, match: re.Match[str], now: datetime) -> JsonScalar:
    text = match[0]
    if kind is Kind.QUOTED:
        return next((group for group in match.groups() if group is not None), "")
    if kind is Kind.INTEGER:
        return int(text)
    if kind is Kind.NUMBER:
        return float(text.replace(",", ""))
    if kind is Kind.DATE:
        return _date(text, now)
    return text.lstrip("#") if kind is Kind.CODE else text


def _date(text: str, now: datetime) -> str | None:
    relative = {"today": 0, "tomorrow": 1, "yesterday": -1}
    if text.lower() in relative:
        return (now.date() + timedelta(days=relative[text.lower()])).isoformat()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return text
    numbers = re.findall(r"\d+", text)
    month = next(i for i, name in enumerate(_MONTHS, 1) if re.search(rf"\b{name[:3]}", text, re.I))
    day, year = int(numbers[0]), int(numbers[1])
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
