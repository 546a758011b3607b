"""Distinct values to plant in secret places, and a search that finds them in whatever form they left through."""

import base64
import gzip
import re
import secrets
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

_DEEP = 3  # a compressed answer inside a base64 text inside a dump
_INFLATED_BYTES = 64 * 1024 * 1024
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{40,}={0,2}")
_BYTEA = re.compile(rb"\\\\?x([0-9a-f]{40,})")


@dataclass(frozen=True, slots=True)
class Canary:
    """`core` stands in the value and in every spelling of it: nothing in it needs escaping."""

    place: str
    core: str
    value: str = field(repr=False)
    raw: bytes = field(default=b"", repr=False)  # of a key: the bytes that `core` spells


def planted(place: str) -> Canary:
    """A value with characters that URLs, JSON, HTML and base64 spell in other ways."""
    core = secrets.token_hex(14)
    return Canary(place, core, f'cn/{core}+"=&<%{place}')


def found_credential(place: str, text: str) -> Canary:
    """One that the platform made itself."""
    return Canary(place, text, text)


def found_key(place: str, raw: bytes) -> Canary:
    """Key material: its bytes, and every spelling of them."""
    return Canary(place, raw.hex(), raw.hex(), raw)


class Search:
    """`where` collects what was found: the way out → places whose canary stood there."""

    def __init__(self, canaries: Mapping[str, Canary]) -> None:
        self._forms = {place: tuple(_forms_of(canary)) for place, canary in canaries.items()}
        self.where: dict[str, set[str]] = {}
        self.bytes: dict[str, int] = {}

    def look(self, way_out: str, content: bytes | str, allowed: frozenset[str] = frozenset()) -> None:
        raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
        self.bytes[way_out] = self.bytes.get(way_out, 0) + len(raw)
        for layer in _layers(raw, _DEEP):
            for place, forms in self._forms.items():
                if place not in allowed and any(form in layer for form in forms):
                    self.where.setdefault(way_out, set()).add(place)


def _forms_of(canary: Canary) -> Iterator[bytes]:
    yield from _forms(canary.core.encode())
    if canary.raw:
        yield from _forms(canary.raw)
        yield canary.raw.hex().upper().encode()
        yield ", ".join(map(str, canary.raw)).encode()


def _forms(core: bytes) -> Iterator[bytes]:
    yield core
    yield b"".join(bytes([byte, 0]) for byte in core)  # UTF-16
    yield core.hex().encode()
    yield core.hex().upper().encode()
    yield core[::-1]
    for lead in range(3):
        # Whatever stands before and after it: of two surroundings, what their base64 has in common.
        one, other = (base64.b64encode(byte * lead + core + byte * 3) for byte in (b"\x00", b"\xff"))
        common = [left if left == right else 0x20 for left, right in zip(one, other, strict=False)]
        text = max(bytes(common).split(), key=len)
        yield text
        yield text.translate(bytes.maketrans(b"+/", b"-_"))


def _layers(raw: bytes, depth: int) -> Iterator[bytes]:
    """The content, and what is packed into it."""
    yield raw
    if depth == 0:
        return
    inner = [*_inflated(raw), *_members(raw)]
    inner += [bytes.fromhex(match[1][: len(match[1]) // 2 * 2].decode()) for match in _BYTEA.finditer(raw)]
    inner += [opened for match in _BASE64.finditer(raw) if (opened := _unpacked(match[0])) is not None]
    for layer in inner:
        yield from _layers(layer, depth - 1)


def _unpacked(text: bytes) -> bytes | None:
    """What base64 holds, where that is compressed itself; plain contents are found by their form."""
    try:
        opened = base64.b64decode(text.translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=") + b"==")
    except ValueError:
        return None
    return opened if opened[:2] in (b"\x1f\x8b", b"\x78\x9c", b"\x78\x01", b"\x78\xda") else None


def _members(raw: bytes) -> Iterator[bytes]:
    if raw[:4] == b"PK\x03\x04":
        with ZipFile(BytesIO(raw)) as archive:
            yield from (archive.read(name) for name in archive.namelist())


def _inflated(raw: bytes) -> Iterator[bytes]:
    for magic in (b"\x1f\x8b\x08", b"\x78\x9c", b"\x78\x01", b"\x78\xda"):
        at = raw.find(magic)
        while at >= 0:
            try:
                opened = zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(raw[at:], _INFLATED_BYTES)
            except zlib.error:
                opened = b""
            if len(opened) > len(magic):
                yield opened
            at = raw.find(magic, at + 1)


def hidden_in_every_way(canary: Canary) -> dict[str, bytes]:
    """For the search's own test."""
    from html import escape
    from json import dumps
    from urllib.parse import quote

    raw = canary.value.encode()
    ways = {
        "plain": b"x" + raw + b"x",
        "url": quote(canary.value, safe="").encode(),
        "json": dumps(dumps({"a": canary.value})).encode(),
        "html": escape(canary.value).encode(),
        "hex": raw.hex().encode(),
        "bytea": b"\\\\x" + raw.hex().encode(),
        "gzip": b"...." + gzip.compress(b"many words " + raw) + b"tail",
        "zlib": zlib.compress(raw * 3),
        "gzip in base64": base64.b64encode(gzip.compress(raw * 2)),
        "gzip in bytea": b"\\x" + gzip.compress(raw).hex().encode(),
    }
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("a.json", raw * 2)
    ways["zip"] = packed.getvalue()
    ways |= {f"base64 {lead}": base64.b64encode(b"u" * lead + raw + b"v") for lead in range(3)}
    return ways | {f"base64url {lead}": base64.urlsafe_b64encode(b"?" * lead + raw) for lead in range(3)}
