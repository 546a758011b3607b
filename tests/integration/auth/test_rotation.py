"""Keys come, go and are out of reach; valid tokens pass, and nobody can make us hammer the issuer."""

import asyncio
import secrets
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from models.policies import EgressPolicy
from planvault.auth.issuer_keys import Pace
from planvault.auth.jwks import MOST_TRIED
from planvault.errors import IssuerUnavailable, NotAuthenticated
from tests.integration.auth.conftest import Door, OpenDoor
from tests.integration.auth.issuer import DISCOVERY, JWKS, Issuer, signer

NEW = signer("second")
HELD = Pace(interval_s=30.0)  # nothing is fetched twice within a test


async def test_the_first_token_of_a_new_key_passes(door: Door, issuer: Issuer) -> None:
    await door.identify(issuer.token())
    issuer.keys = [signer().jwk(), NEW.jwk()]
    assert (await door.identify(NEW.sign(issuer.claims()))).name == "Mia"
    assert issuer.fetches() == 2
    assert issuer.asked.count(DISCOVERY) == 1


async def test_many_first_tokens_of_a_new_key_cost_one_fetch(door: Door, issuer: Issuer) -> None:
    await door.identify(issuer.token())
    issuer.keys = [NEW.jwk()]
    tokens = [NEW.sign(issuer.claims(jti=str(number))) for number in range(20)]
    assert len(await asyncio.gather(*(door.identify(token) for token in tokens))) == 20
    assert issuer.fetches() == 2


async def test_a_key_that_was_published_while_the_old_set_was_on_the_wire_is_found(door: Door, issuer: Issuer) -> None:
    await door.identify(issuer.token())
    issuer.holds[JWKS] = asyncio.Event()
    issuer.heard.clear()
    stranger = asyncio.create_task(door.identify(signer("third").sign(issuer.claims())))
    while issuer.fetches() < 2:  # the set as it was is under way …
        issuer.heard.clear()
        await asyncio.wait_for(issuer.heard.wait(), 5)
    issuer.keys.append(NEW.jwk())  # … and now there is a new key
    valid = asyncio.create_task(door.identify(NEW.sign(issuer.claims())))
    await asyncio.sleep(0)
    issuer.holds.pop(JWKS).set()
    assert (await valid).name == "Mia"
    with pytest.raises(NotAuthenticated):
        await stranger


async def test_rotation_without_key_ids_is_seen_as_well(door: Door, issuer: Issuer) -> None:
    issuer.keys = [signer().jwk(kid=None)]
    await door.identify(signer().sign(issuer.claims(), kid=None))
    issuer.keys = [NEW.jwk(kid=None)]
    await door.identify(NEW.sign(issuer.claims(), kid=None))


async def test_strangers_with_made_up_key_ids_cause_a_fetch_an_interval_at_most(
    opened: OpenDoor, issuer: Issuer
) -> None:
    pace = Pace(interval_s=0.2)
    door, began = await opened(pace), time.monotonic()
    await door.identify(issuer.token())
    for _ in range(3):
        forged = [signer().sign(issuer.claims(), kid=secrets.token_hex(8)) for _ in range(20)]
        for refused in await asyncio.gather(*(door.identify(text) for text in forged), return_exceptions=True):
            assert isinstance(refused, NotAuthenticated)
    assert issuer.fetches() <= 2 + (time.monotonic() - began) / pace.interval_s


async def test_only_so_many_wait_for_the_issuer_and_known_keys_go_on(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(Pace(interval_s=0.05, waiting=3))
    await door.identify(issuer.token())
    issuer.holds[JWKS] = asyncio.Event()
    texts = [signer().sign(issuer.claims(), kid=f"none-{number}") for number in range(10)]
    tasks = [asyncio.create_task(door.identify(text)) for text in texts]
    done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait_for(door.identify(issuer.token(jti="new")), 5)
    assert len(waiting) == 3
    assert all(isinstance(task.exception(), IssuerUnavailable) for task in done)
    issuer.holds.pop(JWKS).set()
    for ended in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(ended, NotAuthenticated)


async def test_while_the_issuer_is_away_its_known_keys_serve(door: Door, issuer: Issuer) -> None:
    await door.identify(issuer.token())
    issuer.is_down = True
    await door.identify(issuer.token(jti="another"))
    with pytest.raises(IssuerUnavailable):
        await door.identify(NEW.sign(issuer.claims()))
    issuer.is_down, issuer.keys = False, [NEW.jwk()]
    assert (await until_it_answers(door, NEW.sign(issuer.claims()))) == "Mia"


async def test_keys_that_are_never_confirmed_serve_for_a_bounded_time(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(Pace(interval_s=0.05, backoff_s=0.05, keep_s=0.2, refresh_s=0.1))
    await door.identify(issuer.token())
    issuer.is_down = True
    with pytest.raises(IssuerUnavailable):
        await until_it_ends(door, lambda: issuer.token(jti=secrets.token_hex(4)))


async def test_a_withdrawn_key_ends_what_it_signed_also_for_well_known_tokens(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(Pace(interval_s=0.05, refresh_s=0.05))
    token = issuer.token()
    await door.identify(token)
    issuer.keys = [NEW.jwk()]
    with pytest.raises(NotAuthenticated):
        await until_it_ends(door, lambda: token)
    assert (await door.identify(NEW.sign(issuer.claims()))).name == "Mia"


async def test_a_known_token_is_not_verified_again_and_ends_when_it_expires(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(leeway_s=0.0)
    token = issuer.token(exp=time.time() + 0.5)
    first = await door.identify(token)
    assert await door.identify(token) is first
    with pytest.raises(NotAuthenticated, match="expired"):
        await until_it_ends(door, lambda: token)


async def test_a_start_with_the_issuer_away_recovers_by_itself(opened: OpenDoor, issuer: Issuer) -> None:
    issuer.is_down = True
    door = await opened()
    with pytest.raises(IssuerUnavailable):
        await door.identify(issuer.token())
    issuer.is_down = False
    assert await until_it_answers(door, issuer.token()) == "Mia"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (JWKS, (500, {}, b"{}")),
        (JWKS, (302, {"Location": "http://127.0.0.1:1/keys"}, b"")),
        (JWKS, (200, {}, b"<html>")),
        (JWKS, (200, {}, b"[]")),
        (JWKS, (200, {}, b'{"keys":{}}')),
        (JWKS, (200, {}, b'{"keys":[]}')),
        (JWKS, (200, {}, b'{"keys":[1,null,{}]}')),
        (JWKS, (200, {}, b'{"keys":[' + b"{}," * 200 + b"{}]}")),
        (JWKS, (200, {}, b" " * 600_000)),
        (JWKS, (200, {}, b"[" * 100_000)),
        (JWKS, (200, {"Content-Encoding": "br"}, b"x")),
        (DISCOVERY, (404, {}, b"{}")),
        (DISCOVERY, (200, {}, b"{}")),
        (DISCOVERY, (200, {}, b"[]")),
        (DISCOVERY, (200, {}, b"nonsense")),
    ],
)
async def test_what_is_no_key_set_opens_nothing(
    opened: OpenDoor, issuer: Issuer, path: str, answer: tuple[int, dict[str, str], bytes]
) -> None:
    issuer.answers[path] = answer
    door = await opened()
    with pytest.raises(IssuerUnavailable):
        await door.identify(issuer.token())
    issuer.answers.clear()
    assert await until_it_answers(door, issuer.token()) == "Mia"


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://attacker.example"},
        {"issuer": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "http://user:password@127.0.0.1/keys"},
        {"jwks_uri": "http://169.254.169.254/latest/meta-data"},
        {"jwks_uri": "http://["},
        {"jwks_uri": 7},
    ],
)
async def test_a_discovery_document_that_leads_astray_is_not_followed(
    opened: OpenDoor, issuer: Issuer, document: dict[str, Any]
) -> None:
    issuer.discovery = document
    door = await opened()
    with pytest.raises(IssuerUnavailable):
        await door.identify(issuer.token())
    assert issuer.fetches() == 0


async def test_an_issuer_that_does_not_answer_is_given_up_in_time(opened: OpenDoor, issuer: Issuer) -> None:
    issuer.holds[DISCOVERY] = asyncio.Event()
    door = await opened(timeout_s=0.2)
    async with asyncio.timeout(5):
        with pytest.raises(IssuerUnavailable):
            await door.identify(issuer.token())


async def test_after_failures_the_pause_grows_and_nobody_waits_for_it(opened: OpenDoor, issuer: Issuer) -> None:
    issuer.is_down = True
    door = await opened(Pace(interval_s=0.05, backoff_s=60.0))
    async with asyncio.timeout(20):
        while len(issuer.asked) < 3:
            with pytest.raises(IssuerUnavailable):
                await door.identify(issuer.token())
            await asyncio.sleep(0.01)
    async with asyncio.timeout(0.2):
        for _ in range(50):
            with pytest.raises(IssuerUnavailable):
                await door.identify(issuer.token())


async def test_an_issuer_in_a_private_network_needs_the_operators_word(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(egress=EgressPolicy())
    with pytest.raises(IssuerUnavailable):
        await door.identify(issuer.token())
    assert issuer.asked == []


async def test_the_operator_may_name_the_address_of_the_keys(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(jwks_url=issuer.url.removesuffix("/realms/acme") + JWKS)
    await door.identify(issuer.token())
    assert issuer.asked == [JWKS]


async def test_keys_that_have_moved_are_found_again(door: Door, issuer: Issuer) -> None:
    await door.identify(issuer.token())
    moved = "/realms/acme/new-certs"
    issuer.answers[moved] = (200, {}, b'{"keys":[%s]}' % orjson.dumps(NEW.jwk()))
    issuer.answers[JWKS] = (404, {}, b"")
    issuer.discovery = {"jwks_uri": issuer.url + "/new-certs"}
    assert await until_it_answers(door, NEW.sign(issuer.claims())) == "Mia"


async def until_it_answers(door: Door, token: str) -> str:
    async with asyncio.timeout(10):
        while True:
            try:
                return (await door.identify(token)).name
            except IssuerUnavailable:
                await asyncio.sleep(0.02)


async def until_it_ends(door: Door, token: Callable[[], str]) -> None:
    """Raises what the door says when it no longer opens."""
    async with asyncio.timeout(10):
        while True:
            await door.identify(token())
            await asyncio.sleep(0.01)


async def test_a_token_that_names_no_key_is_not_tried_against_a_hundred(door: Door, issuer: Issuer) -> None:
    many = [signer(f"of many {number}", "ES256") for number in range(MOST_TRIED + 1)]
    issuer.keys = [one.jwk() for one in many]
    with pytest.raises(NotAuthenticated, match="kid"):
        await door.identify(many[0].sign(issuer.claims(), kid=None))
    assert (await door.identify(many[0].sign(issuer.claims()))).name == "Mia"


async def test_keys_of_other_algorithms_do_not_count_for_a_token_that_names_none(door: Door, issuer: Issuer) -> None:
    few = [signer(f"of many {number}", "ES256") for number in range(MOST_TRIED)]
    issuer.keys = [*(one.jwk() for one in few), signer().jwk(), NEW.jwk()]
    assert (await door.identify(few[-1].sign(issuer.claims(), kid=None))).name == "Mia"
