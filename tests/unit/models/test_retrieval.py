"""Which retrieval settings hold where organisation and project decide, and what was stored before there were any."""

import pytest
from pydantic import ValidationError

from models.policies import OrgSettings, ProjectSettings
from models.retrieval import (
    RetrievalMode,
    RetrievalOverrides,
    RetrievalSettings,
    WeightOverrides,
    disorder,
    effective_retrieval,
)

NOTHING = RetrievalOverrides()


def test_nobody_decides_and_the_defaults_hold() -> None:
    assert effective_retrieval(NOTHING, NOTHING) == RetrievalSettings()


def test_each_field_is_the_projects_else_the_organisations_else_the_default() -> None:
    organization = RetrievalOverrides(
        mode=RetrievalMode.FULL_RAG, per_group_cap=3, weights=WeightOverrides(usage=0, links=2)
    )
    project = RetrievalOverrides(per_group_cap=0, weights=WeightOverrides(links=0.5))
    found = effective_retrieval(organization, project)
    assert (found.mode, found.per_group_cap, found.direct_max) == (RetrievalMode.FULL_RAG, 0, 20)
    assert (found.weights.usage, found.weights.links, found.weights.dense) == (0, 0.5, 1)


@pytest.mark.parametrize(
    ("older", "project", "expected"),
    [(30, None, 50), (7, None, 7), (7, 40, 40), (30, 30, 30)],
    ids=["its default decides nothing", "it counts", "the newer one comes first", "30 can be said"],
)
def test_the_older_spelling_of_the_shortlists_size_still_counts(older: int, project: int | None, expected: int) -> None:
    found = effective_retrieval(RetrievalOverrides(max_tools=50), RetrievalOverrides(max_tools=project), older)
    assert found.max_tools == expected


def test_a_project_cannot_switch_on_the_cache_that_its_organisation_keeps_off_nor_wait_for_fewer_users() -> None:
    organization = RetrievalOverrides(routing_cache=False, routing_cache_min_users=5)
    found = effective_retrieval(organization, RetrievalOverrides(routing_cache=True, routing_cache_min_users=2))
    assert (found.routing_cache, found.routing_cache_min_users) == (False, 5)
    stricter = effective_retrieval(NOTHING, RetrievalOverrides(routing_cache=False, routing_cache_min_users=9))
    assert (stricter.routing_cache, stricter.routing_cache_min_users) == (False, 9)


def test_settings_that_were_stored_before_are_read_as_nothing_decided() -> None:
    old = ProjectSettings().model_dump(mode="json", exclude={"retrieval"})
    assert ProjectSettings.model_validate(old).retrieval == NOTHING
    assert OrgSettings.model_validate({"egress": {}}).retrieval == NOTHING


def test_thresholds_stand_in_order() -> None:
    assert disorder(20, 100, 200) is None
    assert disorder(None, 20, 20) is None
    assert disorder(300, None, 200) == ("fullMax", "must not be below directMax, which is 300")
    with pytest.raises(ValidationError, match="must not be below"):
        RetrievalOverrides(direct_max=10, flat_max=5)
