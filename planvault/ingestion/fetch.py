"""A document by URL, under the organisation's egress policy."""

import httpx

from models.policies import EgressPolicy
from planvault.errors import SpecRejected
from planvault.ingestion.parse import MAX_BYTES
from planvault.net.body import read_bounded
from planvault.net.client import GuardedHttp

_TIMEOUT_S = 60.0
_MAX_REDIRECTS = 5


async def fetch_spec(http: GuardedHttp, url: str, policy: EgressPolicy) -> str:
    """The text behind a URL. Raises SpecRejected, TooLarge, EgressDenied."""
    try:
        async with http.stream(
            "GET",
            url,
            policy=policy,
            headers={"Accept": "application/json, application/yaml, text/yaml, */*;q=0.5"},
            timeout=_TIMEOUT_S,
            max_redirects=_MAX_REDIRECTS,
        ) as response:
            if not response.is_success:
                raise SpecRejected(f"The document's URL answered {response.status_code}.")
            body = await read_bounded(response, MAX_BYTES)
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        raise SpecRejected(f"The document's URL cannot be read: {type(fault).__name__}: {fault}") from fault
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SpecRejected("The document is not UTF-8 text.") from None
