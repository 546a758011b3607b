import base64
import html
import json
import re
import tracemalloc
import urllib.parse

import pytest

from planvault.redact import MASK, Redactor, process_redactor
from planvault.settings import Settings

SECRET = 'p@ss/w+rd "ü" 42'
KEY = "sk_live_8sK3mVq0ZxB7"


@pytest.mark.parametrize("secret", [SECRET, KEY])
@pytest.mark.parametrize(
    "spell",
    [
        lambda s: s,
        lambda s: f"Authorization: Bearer {s}",
        lambda s: json.dumps({"k": s}),
        lambda s: json.dumps({"k": s}, ensure_ascii=False),
        lambda s: json.dumps({"body": json.dumps({"k": s})}),
        lambda s: urllib.parse.quote(s),
        lambda s: urllib.parse.quote(s, safe=""),
        lambda s: urllib.parse.quote_plus(s),
        lambda s: re.sub("%..", lambda code: code[0].lower(), urllib.parse.quote(s, safe="")),
        lambda s: urllib.parse.urlencode({"q": s}),
        lambda s: html.escape(s),
        lambda s: repr(s),
        lambda s: s.encode().hex(),
        lambda s: s.encode().hex().upper(),
        lambda s: base64.b64encode(s.encode()).decode(),
        lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    ],
)
def test_a_bound_value_disappears_in_every_spelling(secret: str, spell) -> None:
    cleaned = Redactor([secret]).clean(spell(secret))
    assert MASK in cleaned
    assert spell(secret) not in cleaned
    assert secret not in urllib.parse.unquote_plus(cleaned)


@pytest.mark.parametrize("before", ["", "u", "us", "usr", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy", "xyz"])
def test_a_value_inside_a_basic_header_disappears_at_every_alignment(before: str, after: str) -> None:
    encoded = base64.b64encode(f"{before}{KEY}{after}".encode()).decode()
    cleaned = Redactor([KEY]).clean(f"Basic {encoded}")
    assert MASK in cleaned
    left = cleaned.removeprefix("Basic ").replace(MASK, "")
    assert len(left) <= len(base64.b64encode((before + after).encode())) + 6  # only what its neighbours share


def test_overlapping_values_leave_no_tail() -> None:
    redactor = Redactor(["abcdefgh-1", "fgh-1234567"])
    assert redactor.clean("abcdefgh-1234567 abcabcdefgh-1") == f"{MASK} abc{MASK}"
    assert Redactor(["ababababab"]).clean("x abababababab y") == f"x {MASK} y"  # over itself, too


def test_a_value_that_a_mask_would_put_together_disappears_too() -> None:
    redactor = Redactor(["inner-value", "left***right"])
    assert redactor.clean("leftinner-valueright") == MASK


def test_short_values_are_masked_where_they_stand_alone() -> None:
    redactor = Redactor(["1234", "on", ""])
    assert redactor.clean("pin=1234; order 123456 is on") == f"pin={MASK}; order 123456 is on"


def test_json_is_cleaned_in_keys_values_and_numbers_and_keeps_its_shape() -> None:
    redactor = Redactor([KEY, "31415926"])
    value = {KEY: [1, None, True, {"x": f"a {KEY}"}], "n": 31415926, "f": 1.5, "t": (KEY, b"raw")}
    assert redactor.clean_json(value) == {
        MASK: [1, None, True, {"x": f"a {MASK}"}],
        "n": MASK,
        "f": 1.5,
        "t": [MASK, "b'raw'"],
    }


def test_an_object_is_cleaned_as_its_text() -> None:
    class Leaky:
        def __str__(self) -> str:
            return f"Leaky({KEY})"

    assert Redactor([KEY]).clean_json({"x": Leaky()}) == {"x": f"Leaky({MASK})"}


def test_a_value_stays_masked_until_everybody_has_let_go_of_it() -> None:
    redactor = Redactor()
    redactor.bind([KEY])
    with redactor.bound([KEY]):
        assert redactor.clean(KEY) == MASK
    assert redactor.clean(KEY) == MASK
    redactor.unbind([KEY])
    assert redactor.clean(KEY) == KEY
    redactor.unbind([KEY])  # once too often does no harm
    redactor.bind([KEY])
    assert redactor.clean(KEY) == MASK


def test_the_lines_of_a_key_file_and_a_value_without_its_final_newline_are_known() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEG\nCCqGSM49AwEHBG0wawIBAQQg\n-----END PRIVATE KEY-----\n"
    redactor = Redactor([pem, "token-from-a-file\n"])
    assert redactor.clean("x CCqGSM49AwEHBG0wawIBAQQg y") == f"x {MASK} y"
    assert redactor.clean("Bearer token-from-a-file") == f"Bearer {MASK}"
    assert redactor.clean("-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_text_without_secrets_comes_back_as_it_is() -> None:
    text = "nothing to see: 日本語 %20 \\u00fc"
    assert Redactor([KEY]).clean(text) == text
    assert Redactor().clean(text) == text


def test_a_process_knows_the_credentials_it_was_given() -> None:
    settings = Settings(
        llm_api_key="llm-key-1234567",
        database_url="postgresql://planvault:s3cr%40t-word@db/planvault",  # type: ignore[call-arg]
    )
    environ = {"OPENAI_API_KEY": "vendor-key-1234567", "PGPASSWORD": "pg-password-123", "HOME": "/home/somebody"}
    redactor = process_redactor(settings, environ)
    for leaked in ("llm-key-1234567", "s3cr%40t-word", "s3cr@t-word", "vendor-key-1234567", "pg-password-123"):
        assert redactor.clean(f"x {leaked} y") == f"x {MASK} y"
    assert redactor.clean("/home/somebody") == "/home/somebody"


def test_a_value_is_known_in_the_bytes_that_an_http_library_quotes() -> None:
    """h11 names an illegal header's value as `b'…'`, with every byte above ASCII escaped."""
    secret = "pässwört-ünd-mehr"
    assert Redactor([secret]).clean(f"Illegal header value {secret.encode()!r}") == f"Illegal header value b'{MASK}'"


@pytest.mark.parametrize("special", ["", '"', "&<", "+ /=%"])
def test_a_value_disappears_where_it_was_escaped_and_then_escaped_or_encoded_again(special: str) -> None:
    """As a JSON body in a URL, a query in an error page, a page in a base64 field."""
    secret = f"canary{special}12345678"
    escapes = (
        lambda text: json.dumps({"a": text}),
        html.escape,
        lambda text: urllib.parse.quote(text, safe=""),
        urllib.parse.quote_plus,
    )
    encodings = (*escapes, lambda text: text.encode().hex(), lambda text: base64.b64encode(text.encode()).decode())
    for inner in escapes:
        for outer in encodings:
            text = outer(inner(secret))
            assert MASK in Redactor([secret]).clean(text), text


def in_dotnet(text: str) -> str:
    special = "\"&'+<>`"
    return "".join(f"\\u{ord(c):04X}" if c in special or ord(c) > 126 else c.replace("\\", r"\\") for c in text)


def in_go(text: str) -> str:
    quoted = json.dumps(text, ensure_ascii=False)[1:-1]
    return quoted.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


@pytest.mark.parametrize("secret", [SECRET, "wJalrXUtnFEMI/K7MDENG+bPxRfi=", "it's <b> & `more`", r"back\slash\u00e4"])
@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(in_dotnet, id="System.Text.Json"),
        pytest.param(in_go, id="encoding/json"),
        pytest.param(lambda s: in_go(s).replace("=", "\\u003d").replace("'", "\\u0027"), id="Gson"),
        pytest.param(lambda s: json.dumps(s)[1:-1].replace("/", "\\/"), id="json_encode"),
        pytest.param(
            lambda s: html.escape(s, quote=False).replace("'", "&#39;").replace('"', "&#34;"), id="MarkupSafe"
        ),
        pytest.param(lambda s: html.escape(s, quote=False).replace("'", "&apos;").replace('"', "&quot;"), id="XML"),
    ],
)
def test_a_value_disappears_as_the_encoders_of_other_languages_escape_it(secret: str, spell) -> None:
    said = f'{{"message": "{spell(secret)}"}}'
    assert Redactor([secret]).clean(said) == f'{{"message": "{MASK}"}}'


def test_a_text_made_to_be_cleaned_for_ever_is_masked_as_a_whole() -> None:
    assert Redactor([f"open{MASK}shut"]).clean(f"{'open' * 50_000}open{MASK}shut{'shut' * 50_000}") == MASK


def test_a_text_full_of_a_value_that_overlaps_itself_is_one_span() -> None:
    redactor = Redactor(["a" * 8])
    tracemalloc.start()
    assert redactor.clean("a" * 1_000_000) == MASK
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000
