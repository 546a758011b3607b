"""How limits are written down."""

import pytest
from pydantic import ValidationError

from models.rate_limits import DEFAULT_LIMITS, LimitName, Quota, parse_limits
from planvault.settings import Settings


def test_what_is_not_named_keeps_its_default() -> None:
    chosen = parse_limits(" key.requests = 5/10 ,key.imports=1/3600")
    assert chosen is not None
    assert chosen[LimitName.KEY_REQUESTS] == Quota(requests=5, seconds=10)
    assert chosen[LimitName.KEY_IMPORTS] == Quota(requests=1, seconds=3_600)
    assert chosen[LimitName.KEY_EXPORTS] == DEFAULT_LIMITS[LimitName.KEY_EXPORTS]
    assert parse_limits("") == DEFAULT_LIMITS
    assert set(DEFAULT_LIMITS) == set(LimitName)


def test_off_is_no_limits() -> None:
    assert parse_limits("off") is None


@pytest.mark.parametrize(
    "text", ["key.request=5/10", "key.requests=5", "key.requests=-5/10", "key.requests=0/10", "key.requests=a/b", "on"]
)
def test_a_mistake_is_said_at_the_start(text: str) -> None:
    with pytest.raises(ValidationError):
        Settings(rate_limits=text)


def test_a_proxy_that_is_no_network_is_said_at_the_start() -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies="10.0.0.0/8, proxy.example.com")


def test_more_at_once_or_more_in_the_long_run_is_more() -> None:
    deployment = Quota(requests=60, seconds=60)
    assert Quota(requests=61, seconds=120).allows_more_than(deployment)
    assert Quota(requests=30, seconds=10).allows_more_than(deployment)
    assert not Quota(requests=60, seconds=60).allows_more_than(deployment)
    assert not Quota(requests=1, seconds=3_600).allows_more_than(deployment)
