"""Which tool an operation is: whatever order a document has, and whatever names others hold."""

from collections.abc import Sequence
from uuid import UUID

from models.ids import IntegrationId, ToolId
from models.tools import HttpBinding, Idempotency, RiskClass
from planvault.ingestion.drafts import ToolDraft
from planvault.ingestion.identity import Identified, identify
from planvault.ingestion.naming import unique
from planvault.storage.catalog_tools import KnownTool

HERE = IntegrationId(UUID(int=1))


def drafts(*operations: tuple[str, str]) -> list[ToolDraft]:
    """(operationId, path) of GET operations, named apart as the extraction does."""
    found: list[ToolDraft] = []
    taken: set[str] = set()
    for stem, path in operations:
        name = unique(stem, taken)
        taken.add(name)
        found.append(
            ToolDraft(
                operation=f"GET {path}",
                name=name,
                stem=stem,
                binding=HttpBinding(method="GET", path=path),
                risk=RiskClass.READ,
                idempotency=Idempotency.SAFE,
            )
        )
    return found


def kept(identified: Sequence[Identified]) -> list[KnownTool]:
    """What the catalog knows once these were stored; unchanged ones keep their ids."""
    return [
        found.known
        or KnownTool(
            id=ToolId(UUID(int=100 + position)),
            integration_id=HERE,
            version=1,
            name=found.name,
            route=(found.draft.binding.method, found.draft.binding.path),
            definition_hash="",
            current=True,
        )
        for position, found in enumerate(identified)
    ]


def by_path(identified: Sequence[Identified]) -> dict[str, tuple[str, ToolId | None]]:
    return {found.draft.binding.path: (found.name, found.known and found.known.id) for found in identified}


def test_operations_that_share_an_operation_id_keep_their_identities_whichever_comes_first() -> None:
    known = kept(identify(drafts(("list", "/a"), ("list", "/b")), "shop", (), ()))
    assert [tool.name for tool in known] == ["list", "list_2"]
    again = by_path(identify(drafts(("list", "/b"), ("list", "/a")), "shop", known, ()))
    assert again == {"/a": ("list", known[0].id), "/b": ("list_2", known[1].id)}


def test_a_third_of_one_operation_id_takes_nobodys_name() -> None:
    known = kept(identify(drafts(("list", "/a"), ("list", "/b")), "shop", (), ()))
    again = by_path(identify(drafts(("list", "/new"), ("list", "/b"), ("list", "/a")), "shop", known, ()))
    assert again["/new"] == ("list_3", None)
    assert again["/a"] == ("list", known[0].id)


def test_operations_that_exchange_their_operation_ids_exchange_their_tools() -> None:
    known = kept(identify(drafts(("a", "/a"), ("b", "/b")), "shop", (), ()))
    again = by_path(identify(drafts(("b", "/a"), ("a", "/b")), "shop", known, ()))
    assert again == {"/a": ("b", known[1].id), "/b": ("a", known[0].id)}


def test_a_moved_path_and_a_new_operation_id_cost_no_identity() -> None:
    known = kept(identify(drafts(("a", "/a"), ("b", "/b")), "shop", (), ()))
    again = by_path(identify(drafts(("a", "/v2/a"), ("beta", "/b")), "shop", known, ()))
    assert again == {"/v2/a": ("a", known[0].id), "/b": ("beta", known[1].id)}


def test_a_name_that_others_hold_gets_the_alias_in_front_and_then_a_number() -> None:
    taken = {"list", "shop_list"}
    found = by_path(identify(drafts(("list", "/a")), "shop", (), taken))
    assert found["/a"][0] == "shop_list_2"


def test_a_prefixed_name_stays_when_the_plain_one_becomes_free() -> None:
    known = kept(identify(drafts(("list", "/a")), "shop", (), {"list"}))
    assert known[0].name == "shop_list"
    assert by_path(identify(drafts(("list", "/a")), "shop", known, ())) == {"/a": ("shop_list", known[0].id)}


def test_names_at_their_longest_keep_their_numbers() -> None:
    stem = "x" * 64
    known = kept(identify(drafts((stem, "/a"), (stem, "/b")), "shop", (), ()))
    again = by_path(identify(drafts((stem, "/b"), (stem, "/a")), "shop", known, ()))
    assert again == {"/a": (stem, known[0].id), "/b": (f"{'x' * 62}_2", known[1].id)}


def test_every_name_is_given_once_whatever_others_hold() -> None:
    operations = [("list" if number % 3 else "get", f"/{number}") for number in range(60)]
    known = kept(identify(drafts(*operations), "shop", (), {"list_4", "shop_get"}))
    for order in (operations[::-1], operations[30:] + operations[:30]):
        again = identify(drafts(*order), "shop", known, {"list_4", "shop_get"})
        assert len({found.name for found in again}) == 60
        assert by_path(again) == {tool.route[1]: (tool.name, tool.id) for tool in known}
