"""What is set wrongly is said at the start, and no secret with it."""

import pytest
from pydantic import ValidationError

from planvault.settings import Settings


@pytest.mark.parametrize("url", ["", "redis://h", "redis://:p@h:6379/1", "rediss://u:p@h", "unix:///run/redis.sock"])
def test_addresses_of_redis(url: str) -> None:
    assert Settings(redis_url=url).redis_url == url


@pytest.mark.parametrize("url", ["http://:hunter2@h", "h:6379", "redis://:hunter2@h:port", "redis://:hunter2@h:99999"])
def test_what_is_no_address_of_redis_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(redis_url=url)
    assert "hunter2" not in str(refused.value)
