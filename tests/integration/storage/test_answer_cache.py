"""Answers that Redis repeats: what is erased there stays erased, whoever is about to write it down once more."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from planvault.storage.answer_cache import RedisAnswers
from planvault.storage.idempotency import Answer, AnswerScope, IdempotencyKey, KeptAnswer
from planvault.storage.pool import Pool
from planvault.storage.redis_link import RedisLink, open_link
from tests.integration.redis_server import RedisServer
from tests.integration.storage.key_room import KeyRoom

pytestmark = pytest.mark.postgres
KEY = IdempotencyKey("POST /sessions", "once", b"body")
OTHER = IdempotencyKey("POST /sessions", "twice", b"body")
KEPT = KeptAnswer(b"body", Answer(201, {"id": "of Ada"}))
DAY_S = 24 * 3_600.0


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[RedisLink]:
    server = RedisServer(tmp_path)
    server.start()
    async with open_link(server.url) as opened:
        assert opened is not None
        yield opened
    server.kill()


async def test_a_repeat_that_read_the_row_before_its_erasure_does_not_bring_it_back(
    pool: Pool, link: RedisLink
) -> None:
    room = await KeyRoom.open(pool)
    scope, answers = AnswerScope(room.org, room.project.project_id), RedisAnswers(link, room.ring)
    await answers.keep(scope, KEY, KEPT, DAY_S)
    assert await answers.recall(scope, KEY) == KEPT
    await answers.forget(scope, KEY)
    assert await answers.recall(scope, KEY) is None
    await answers.keep(scope, KEY, KEPT, DAY_S)  # whoever repeated it had read the row a moment before
    assert await answers.recall(scope, KEY) is None
    await answers.keep(scope, OTHER, KEPT, DAY_S)
    assert await answers.recall(scope, OTHER) == KEPT
    left = [await link.ask("PTTL", name) for name in await _names(link)]
    assert all(isinstance(ms, int) and 0 < ms <= DAY_S * 1_000 for ms in left)


async def _names(link: RedisLink) -> list[bytes]:
    found = await link.ask("KEYS", "*")
    assert isinstance(found, list)
    assert len(found) == 2
    return found
