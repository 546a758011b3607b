"""Values that a prompt spells out: quoted text, ids, numbers, dates, addresses, names of things."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from models.base import JsonScalar
from planvault.planner.builtin.english import MONTHS, STOP_WORDS
from planvault.planner.builtin.patterns import BARE, KEYED, NAME, NAMING, PATTERNS, TAIL, Kind
from planvault.planner.builtin.verbs import is_verb
from planvault.planner.builtin.words import canonical, split

_POSITIONS = ("first", "second", "third", "fourth", "fifth")
_ORDINALS = {word: at for at, word in enumerate(_POSITIONS, 1)} | {"1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5}
_ORDINAL = re.compile(rf"\b({'|'.join(_ORDINALS)})\s+(\w+)", re.IGNORECASE)
_RELATIVE = {"today": 0, "tomorrow": 1, "yesterday": -1}
_JOINT = re.compile(r"\s*(?:,|,?\s+and|,?\s+or|&)\s*", re.IGNORECASE)
_HINTS = 4  # words before a value that may name its parameter


@dataclass(frozen=True, slots=True)
class Mention:
    """One value at `start:end` of the prompt."""

    value: JsonScalar
    kind: Kind
    start: int
    end: int
    hints: tuple[str, ...] = ()  # the words before it, nearest first, then the word behind it
    key: str = ""  # said outright: `key=value`, `key: value`, `named …`
    series: int = 0  # values of one enumeration (“4, 5 and 6”) have the same number; 0 = stands alone


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
    return tuple(_in_series(text, sorted(found, key=lambda mention: mention.start)))


def _in_series(text: str, found: list[Mention]) -> list[Mention]:
    """Marks enumerations; what is announced before the first value holds for all."""
    for at in range(1, len(found)):
        first, second = found[at - 1], found[at]
        if first.kind is second.kind is not Kind.ORDINAL and _JOINT.fullmatch(text[first.end : second.start]):
            series = first.series or at
            found[at - 1] = replace(first, series=series)
            found[at] = replace(second, series=series, hints=first.hints, key=first.key or second.key)
    return found


def _candidates(text: str, now: datetime, vocabulary: Collection[str]) -> Iterator[Mention]:
    """The more particular first: what comes later yields to what came before."""
    keys = {match.end(): match[1] for match in KEYED.finditer(text)}
    tails = {match.end(): key or match[1].lower() for pattern, key in NAMING for match in pattern.finditer(text)}
    named = keys | tails
    for kind, pattern in PATTERNS:
        for match in pattern.finditer(text):
            value = _value(kind, match, now)
            if value is not None:
                yield Mention(value, kind, *match.span(), _hints(text, *match.span()), named.get(match.start(), ""))
    yield from _unquoted(text, keys, BARE, Kind.PHRASE)
    yield from _unquoted(text, tails, TAIL, Kind.TAIL)
    for match in _ORDINAL.finditer(text):
        yield Mention(_ORDINALS[match[1].lower()], Kind.ORDINAL, match.start(1), match.end(1), (match[2].lower(),))
    for match in NAME.finditer(text):
        yield from _name(text, match, named, vocabulary)


def _unquoted(text: str, starts: dict[int, str], pattern: re.Pattern[str], kind: Kind) -> Iterator[Mention]:
    """`status=open` and `saying we are closed` hold values that look like plain words."""
    for start, key in starts.items():
        match = pattern.match(text, start)
        value = match[0].strip().rstrip(".!?") if match else ""
        if value:
            yield Mention(value, kind, start, start + len(value), (), key)


def _name(text: str, match: re.Match[str], named: dict[int, str], vocabulary: Collection[str]) -> Iterator[Mention]:
    """Capitalised words, without those that only begin the sentence or are the tools' own."""
    start, end = match.span()
    words = [(each.start() + start, each[0]) for each in re.finditer(r"[\w'’&.-]+", text[start:end])]
    before = text[:start].rstrip()
    begins = not before or before[-1] in ".!?;:\n"
    while words and _is_plain(words[0][1], vocabulary) and (begins or split(words[0][1])[:1] != ["the"]):
        words, begins = words[1:], False
    if not words or all(_is_plain(word, vocabulary) for _, word in words):
        return
    if len(words) == 1 and begins and not words[0][1].endswith(("'s", "’s")):
        return  # one word at a sentence's beginning is capitalised whatever it is
    start = words[0][0]
    value = re.sub(r"['’]s$", "", text[start:end].rstrip(".-'’"))
    if value:
        yield Mention(value, Kind.NAME, start, start + len(value), _hints(text, start, end), named.get(start, ""))


def _is_plain(word: str, vocabulary: Collection[str]) -> bool:
    """Whether a capitalised word need not be a name: a stop word, a verb, or a word of the tools."""
    return all(part in STOP_WORDS or is_verb(part) or canonical(part) in vocabulary for part in split(word))


def _hints(text: str, start: int, end: int) -> tuple[str, ...]:
    before = split(re.split(r"[.!?;\n]", text[max(0, start - 200) : start])[-1])[-_HINTS:][::-1]
    ends = text[end : end + 1] in (".", "!", "?", ";", ",", "\n")
    after = [] if ends else split(text[end : end + 80])[:1]
    return (*before, *(word for word in after if word not in STOP_WORDS))


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
    """ISO 8601, or None for a day that no calendar has."""
    if text.lower() in _RELATIVE:
        return (now.date() + timedelta(days=_RELATIVE[text.lower()])).isoformat()
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    try:
        if len(numbers) == 3:
            return date(*numbers).isoformat()
        month = next(at for at, name in enumerate(MONTHS, 1) if re.search(rf"\b{name[:3]}", text, re.IGNORECASE))
        return date(numbers[1], month, numbers[0]).isoformat()
    except ValueError:
        return None
