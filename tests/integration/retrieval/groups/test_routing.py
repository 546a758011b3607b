"""Which groups a prompt is routed to, and whose."""

import numpy as np
import pytest

from tests.integration.retrieval.groups.catalog import GroupCatalog, prompt
from tests.unit.retrieval.groups.vectors import around, topic


@pytest.fixture
async def five(catalog: GroupCatalog) -> GroupCatalog:
    """One integration, five groups of eight, one a topic."""
    integration = await catalog.integration()
    for number in range(5):
        await catalog.put(integration, f"api/{number}", around(number, 8))
    await catalog.keeper.regroup(catalog.org, integration)
    return catalog


async def test_the_groups_nearest_to_a_prompt_come_first_with_their_figures(five: GroupCatalog) -> None:
    routed = await five.router.route(five.scope, prompt(topic(3)), 2)
    assert (len(routed.groups), routed.considered, routed.ungrouped) == (2, 5, 0)
    first = routed.groups[0]
    assert first.name == "api/3"
    assert (first.size, first.routing, first.part) == (8, "centroid", 0)
    assert first.similarity > 0.9
    assert first.expected == pytest.approx(first.similarity + 0.12, abs=0.1)
    assert "kept whole: 8 tools" in first.why


async def test_every_part_of_a_prompt_brings_its_own_groups_once(five: GroupCatalog) -> None:
    routed = await five.router.route(five.scope, prompt(topic(0), topic(4), topic(4)), 1)
    assert [(group.name, group.part) for group in sorted(routed.groups, key=lambda group: group.name)] == [
        ("api/0", 0),
        ("api/4", 1),
    ]


async def test_a_tool_far_from_its_incoherent_group_is_found_by_best_member(five: GroupCatalog) -> None:
    integration = await five.integration("odds")
    await five.put(integration, "odds", np.stack([topic(number) for number in range(20, 25)]))
    await five.keeper.regroup(five.org, integration)
    routed = await five.router.route(five.scope, prompt(topic(22)), 1)
    [group] = routed.groups
    assert (group.name, group.routing) == ("odds", "best_member")
    assert group.similarity == pytest.approx(1.0, abs=1e-5)


async def test_groups_of_an_integration_that_the_project_switched_off_are_not_routed_to(five: GroupCatalog) -> None:
    off = await five.integration("off")
    await five.put(off, "off", around(30, 8))
    await five.put(off, "off/odds", np.stack([topic(number) for number in range(31, 36)]))
    await five.keeper.regroup(five.org, off)
    for asked in (topic(30), topic(33)):
        on = await five.router.route(five.scope, prompt(asked), 1)
        assert on.groups[0].integration_id == off
    assert on.considered == 7
    await five.switch(off, enabled=False)
    for asked in (topic(30), topic(33)):
        routed = await five.router.route(five.scope, prompt(asked), 10)
        assert off not in {group.integration_id for group in routed.groups}
    assert routed.considered == 5


async def test_groups_of_other_organisations_are_not_routed_to(five: GroupCatalog) -> None:
    other = await GroupCatalog.create(five.pool)
    routed = await other.router.route(other.scope, prompt(topic(1)), 10)
    assert (list(routed.groups), routed.considered, routed.ungrouped) == ([], 0, 0)


async def test_tools_that_wait_for_their_groups_are_counted(five: GroupCatalog) -> None:
    waiting = await five.integration("waiting")
    await five.put(waiting, "waiting", around(40, 3))
    assert (await five.router.route(five.scope, prompt(topic(1)), 1)).ungrouped == 3
    await five.switch(waiting, enabled=False)
    assert (await five.router.route(five.scope, prompt(topic(1)), 1)).ungrouped == 0


async def test_a_group_retired_since_it_was_made_brings_nobody(five: GroupCatalog) -> None:
    integration = await five.integration("gone")
    tools = await five.put(integration, "gone", np.stack([topic(number) for number in range(50, 55)]))
    await five.keeper.regroup(five.org, integration)
    await five.retire(integration, tools)
    routed = await five.router.route(five.scope, prompt(topic(52)), 3)
    assert "gone" not in {group.name for group in routed.groups}
