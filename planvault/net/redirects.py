"""The request that a redirect asks for (RFC 9110 §15.4)."""

from __future__ import annotations

import httpx

from planvault.errors import EgressDenied

_STATUSES = frozenset({301, 302, 303, 307, 308})
_SAFE_ACROSS_ORIGINS = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})
_OF_THE_BODY = frozenset({"content-type", "content-encoding", "content-language"})


def next_request(request: httpx.Request, response: httpx.Response) -> httpx.Request | None:
    """The next hop, None where the response is the answer. Its URL is not checked here: sending it is what checks.

    Another origin gets no header of the caller's but harmless ones: an API key in a header of its own is a credential
    too, and a body may hold one. Raises EgressDenied for a downgrade from https and for a body that would go to another
    origin, httpx.RemoteProtocolError for a location that is no URL.
    """
    location = response.headers.get("Location")
    if response.status_code not in _STATUSES or location is None:
        return None
    try:
        target = request.url.join(location)
    except httpx.InvalidURL as error:
        raise httpx.RemoteProtocolError(f"The redirect's location is no URL: {error}", request=request) from error
    if request.url.scheme == "https" and target.scheme != "https":
        raise EgressDenied("A redirect from https to http is not followed")
    method, content = request.method, request.content or None
    dropped = {"host", "content-length"}
    if response.status_code == 303 or (response.status_code in (301, 302) and method == "POST"):
        method, content = ("HEAD" if method == "HEAD" else "GET"), None
        dropped |= _OF_THE_BODY
    kept = [(name, value) for name, value in request.headers.multi_items() if name not in dropped]
    if _origin(target) != _origin(request.url):
        if content is not None:
            raise EgressDenied("A redirect that would carry the request's body to another origin is not followed")
        kept = [(name, value) for name, value in kept if name in _SAFE_ACROSS_ORIGINS]
    return httpx.Request(method, target, headers=kept, content=content, extensions=dict(request.extensions))


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port
