"""Redirects that the guarded client follows, against real servers."""

import httpx
import pytest

from planvault.errors import EgressDenied
from planvault.net.client import GuardedHttp
from tests.unit.net.guarded import LOCAL, get, http
from tests.unit.net.servers import ok, redirecting, serving

__all__ = ["http"]


async def test_a_redirect_is_an_answer_unless_following_was_asked_for(http: GuardedHttp) -> None:
    async with serving(redirecting("/to")) as server:
        assert (await get(http, server.url("/from")))[0] == 302
        assert (await get(http, server.url("/from"), max_redirects=1)) == (200, b"ok")


async def test_every_hop_passes_the_guard(http: GuardedHttp) -> None:
    for location in ("http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "http://u:p@127.0.0.1/"):
        async with serving(redirecting(location)) as server:
            with pytest.raises(EgressDenied):
                await get(http, server.url("/from"), max_redirects=5)


async def test_a_port_that_does_not_exist_is_refused_as_an_address_is_in_a_redirect_too(http: GuardedHttp) -> None:
    with pytest.raises(EgressDenied, match="no port 65536"):
        await get(http, "http://127.0.0.1:65536/")
    async with serving(redirecting("http://127.0.0.1:99999/")) as server:
        with pytest.raises(EgressDenied, match="no port 99999"):
            await get(http, server.url("/from"), max_redirects=1)


async def test_a_loop_of_redirects_ends(http: GuardedHttp) -> None:
    async with serving(redirecting("/from")) as server:
        with pytest.raises(httpx.TooManyRedirects):
            await get(http, server.url("/from"), max_redirects=3)
        assert len(server.requests) == 4


async def test_no_credential_follows_to_another_origin(http: GuardedHttp) -> None:
    secret = {"Authorization": "Bearer x", "X-Api-Key": "x", "Cookie": "x=y", "Accept": "text/plain"}
    async with serving(ok) as other, serving(redirecting(other.url("/to"))) as server:
        await get(http, server.url("/from"), headers=secret, max_redirects=1)
        assert {"authorization", "x-api-key", "cookie"} <= server.requests[0].headers.keys()
        assert not {"authorization", "x-api-key", "cookie"} & other.requests[0].headers.keys()
        assert other.requests[0].headers["accept"] == "text/plain"


@pytest.mark.parametrize("status", ["307 Temporary Redirect", "308 Permanent Redirect"])
async def test_no_body_follows_to_another_origin(http: GuardedHttp, status: str) -> None:
    """It may hold secrets, as the headers do."""
    async with serving(ok) as other, serving(redirecting(other.url("/to"), status)) as server:
        with pytest.raises(EgressDenied):
            async with http.stream("GET", server.url("/from"), policy=LOCAL, content=b"secret", max_redirects=1):
                pass
        assert other.requests == []


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [("303 See Other", "GET", b""), ("302 Found", "GET", b""), ("307 Temporary Redirect", "POST", b"x")],
)
async def test_method_and_body_follow_the_status(http: GuardedHttp, status: str, method: str, body: bytes) -> None:
    async with serving(redirecting("/to", status)) as server:
        async with http.stream("POST", server.url("/from"), policy=LOCAL, content=b"x", max_redirects=1) as answer:
            assert answer.status_code == 200
        assert (server.requests[1].method, server.requests[1].body) == (method, body)
