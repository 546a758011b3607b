"""Generated requests against the OpenAPI document: no 5xx, and every answer is one that the document describes.

The long run is `python -m benchmarks.fuzz`; a part of it stands here.
"""

from pathlib import Path

import pytest

from benchmarks.fuzz.callers import Effort, callers, fuzz
from benchmarks.fuzz.room import room


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One keyset for the module's database: the second test's host takes up what the first one's sessions were told."""
    return tmp_path_factory.mktemp("fuzz")


async def test_generated_requests_of_sessions_get_answers_that_the_document_describes(
    database_url: str, folder: Path
) -> None:
    effort = Effort(examples=2, only=r"/sessions(/\{sessionId\})?(/messages|/actions)?$", phases="fuzzing,stateful")
    async with room(database_url, folder) as place:
        assert await fuzz(place, callers(place)[0], effort, folder)
        assert place.tally.statuses.total() >= 10
        assert not place.tally.failed


@pytest.mark.faults
@pytest.mark.timeout(1_800)
async def test_generated_requests_of_every_route_get_answers_that_the_document_describes(
    database_url: str, folder: Path
) -> None:
    async with room(database_url, folder, peopled=True) as place:
        for caller in callers(place):
            assert await fuzz(place, caller, Effort(examples=10), folder), caller.name
        assert place.tally.statuses.total() >= 5_000
        assert not place.tally.failed
