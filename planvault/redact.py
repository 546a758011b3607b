"""Knows every bound secret and removes it from what leaves the process.

A secret is searched in the forms that it takes on its way into logs, errors and prompts: plain, base64 (both alphabets,
at all three alignments, so inside a Basic header as well), hex, URL-encoded, JSON- and HTML-escaped, Python's repr.
"""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

from planvault.settings import Settings

MASK: Final = "***"
SHORTEST: Final = 4
"""Values of fewer characters are not masked: removing every "on" or "42" would destroy what is logged."""
SHORTEST_INSIDE: Final = 8
"""Values of fewer characters are masked only where they stand alone, not inside a longer word or number."""
_ROUNDS = 8  # how often masks may put values together, before the whole text is masked

_DOTNET = re.compile(r"\\(?:u[0-9a-f]{4}|.)|[&'+<>`]")
# OPENAI_API_KEY, AWS_SECRET_ACCESS_KEY, VAULT_TOKEN, PGPASSWORD … but not PLANVAULT_KEYSET_PATH or a digest.
_CREDENTIAL = re.compile(r"(API_KEY|ACCESS_KEY|SECRET|TOKEN|PASSWORD|CREDENTIALS)$")


class Redactor:
    """Binding counts: a value is masked until it was unbound as often as it was bound. Thread-safe.

    One a process for its logs. What a tenant gets to see is cleaned by a redactor that knows this call's values only:
    a shared one would tell a tenant which of its guesses are another tenant's secrets.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._bound: Counter[str] = Counter()
        self._forms: dict[str, frozenset[str]] = {}  # of each bound value; making them is what costs
        self._anywhere: tuple[str, ...] = ()
        self._alone: tuple[re.Pattern[str], ...] = ()
        self.bind(secrets)

    def bind(self, secrets: Iterable[str]) -> None:
        with self._lock:
            known = len(self._forms)
            for secret in secrets:
                if len(secret) >= SHORTEST:
                    self._bound[secret] += 1
                    if secret not in self._forms:
                        self._forms[secret] = forms_of(secret)
            if len(self._forms) != known:
                self._rebuild()

    def unbind(self, secrets: Iterable[str]) -> None:
        with self._lock:
            known = len(self._forms)
            for secret in secrets:
                self._bound[secret] -= 1
                if self._bound[secret] <= 0:
                    del self._bound[secret]
                    self._forms.pop(secret, None)
            if len(self._forms) != known:
                self._rebuild()

    @contextmanager
    def bound(self, secrets: Iterable[str]) -> Iterator[None]:
        """Bind for a block."""
        values = tuple(secrets)
        self.bind(values)
        try:
            yield
        finally:
            self.unbind(values)

    def clean(self, text: str) -> str:
        """The text with every bound value masked. What overlaps is masked as one, so no tail of a value remains."""
        for _ in range(_ROUNDS):
            spans = self._spans(text)
            if not spans:
                return text
            pieces: list[str] = []
            at = 0
            for start, end in spans:
                pieces += (text[at:start], MASK)
                at = end
            # Again: a mask can join its neighbours to another bound value. Each round makes the text shorter.
            text = "".join((*pieces, text[at:]))
        return MASK if self._spans(text) else text  # made to be cleaned for ever

    def clean_json(self, value: object) -> object:
        """The same for JSON-like data, keys and numbers included. What is no JSON is cleaned as its text."""
        if isinstance(value, str):
            return self.clean(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Mapping):
            return {self.clean(str(key)): self.clean_json(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.clean_json(item) for item in value]
        text = str(value)
        cleaned = self.clean(text)
        if isinstance(value, int | float):
            return value if cleaned == text else cleaned
        return cleaned

    def _rebuild(self) -> None:
        """Whole tuples replace whole tuples, so that a reader in another thread needs no lock."""
        forms = frozenset().union(*self._forms.values())
        self._anywhere = tuple(form for form in forms if len(form) >= SHORTEST_INSIDE)
        self._alone = tuple(
            re.compile(rf"(?<!\w){re.escape(form)}(?!\w)") for form in forms if SHORTEST <= len(form) < SHORTEST_INSIDE
        )

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Disjoint, sorted."""
        found = [span for form in self._anywhere if form in text for span in _occurrences(form, text)]
        found += [match.span() for pattern in self._alone for match in pattern.finditer(text)]
        merged: list[tuple[int, int]] = []
        for start, end in sorted(found):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return merged


def process_redactor(settings: Settings, environ: Mapping[str, str]) -> Redactor:
    """For a process's logs: knows from the start the credentials that the process itself was given."""
    named = (value for name, value in environ.items() if _CREDENTIAL.search(name))
    urls = (settings.database_url, settings.app_database_url, settings.platform_database_url)
    passwords = [urlsplit(url).password or "" for url in urls]
    return Redactor([settings.llm_api_key, *passwords, *map(unquote, passwords), *named])


def forms_of(secret: str) -> frozenset[str]:
    """The spellings to look for: of the value, of what is left without its outer blanks, of a key file's lines."""
    lines = [line.strip() for line in secret.splitlines()]
    parts = {secret, secret.strip(), *(line for line in lines if len(line) >= 16 and not line.startswith("-----"))}
    return frozenset(form for part in parts if len(part) >= SHORTEST for form in _spellings(part))


def _spellings(secret: str) -> frozenset[str]:
    """Encoded ones only where they are long enough to mean this value.

    Escapes are applied twice, and what is encoded may have been escaped before: a JSON body is quoted into a URL, a
    query is shown in a page. For a value of letters and digits all of these are the value itself.
    """
    once = _escaped(secret)
    texts = once.union(*(_escaped(form) for form in once))
    encoded = {form for text in once for form in _encoded(text.encode("utf-8", "surrogatepass"))}
    return frozenset(texts | {form for form in encoded if len(form) >= SHORTEST_INSIDE})


def _escaped(text: str) -> set[str]:
    raw = text.encode("utf-8", "surrogatepass")
    percent = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
    percent |= {re.sub(r"%[0-9A-F]{2}", lambda code: code[0].lower(), form) for form in tuple(percent)}
    return {text, repr(text)[1:-1], repr(raw)[2:-1], *_in_json(text), *_in_markup(text), *percent}


def _in_json(text: str) -> Iterator[str]:
    """As Python, PHP, Go, Gson and .NET write it by default: they differ in what they spell as `\\u00xx`."""
    plain, ascii_only = json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]
    yield from (plain, ascii_only, plain.replace("/", r"\/"), ascii_only.replace("/", r"\/"))
    yield _by_code(plain, "&<>")
    yield _by_code(plain, "&<>='")
    yield _DOTNET.sub(_dotnet, ascii_only)


def _dotnet(found: re.Match[str]) -> str:
    """Of what Python has escaped, and of what .NET escapes besides."""
    text = found[0]
    if text.startswith(r"\u"):
        return rf"\u{text[2:].upper()}"
    if text == r"\"" or len(text) == 1:
        return rf"\u{ord(text[-1]):04X}"
    return text


def _by_code(text: str, chars: str) -> str:
    return "".join(rf"\u{ord(char):04x}" if char in chars else char for char in text)


def _in_markup(text: str) -> Iterator[str]:
    """Quotes by number, by name, or as they are."""
    bare = html.escape(text, quote=False)
    yield from (bare, html.escape(text))
    yield bare.replace("'", "&#39;").replace('"', "&#34;")
    yield bare.replace("'", "&#39;").replace('"', "&quot;")
    yield bare.replace("'", "&apos;").replace('"', "&quot;")


def _encoded(raw: bytes) -> set[str]:
    return {raw.hex(), raw.hex().upper(), *_base64_cores(raw)}


def _base64_cores(raw: bytes) -> Iterator[str]:
    """What base64 makes of these bytes whatever stands before and after them, for each of the three alignments."""
    for lead in range(3):
        text = base64.b64encode(b"\0" * lead + raw).decode()
        start = (0, 2, 3)[lead]  # characters that the bytes before have a part in
        end = len(text) if (lead + len(raw)) % 3 == 0 else len(text.rstrip("=")) - 1
        core = text[start:end]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _occurrences(form: str, text: str) -> Iterator[tuple[int, int]]:
    """Where it stands; occurrences that overlap or touch are one span. In time that the text's length bounds."""
    start = text.find(form)
    while start >= 0:
        end = start + len(form)
        while (furthest := text.rfind(form, end - len(form) + 1, end + len(form))) >= 0:
            end = furthest + len(form)
        yield start, end
        start = text.find(form, end)
