"""What a tool asks for and what it gives."""

import pytest

from models.tools import NativeBinding, OutputField, ParamLocation, Tool, ToolParam
from retrieval.links import MAX_ENTITIES, produced_entities, required_entities
from tests.unit.retrieval.tool_factory import http_tool


def tool(path: str, *required: str, method: str = "GET", outputs: tuple[str, ...] = ()) -> Tool:
    params = tuple(ToolParam(name=name, location=ParamLocation.PATH, required=True) for name in required)
    fields = tuple(OutputField(path=tuple(output.split("."))) for output in outputs)
    return http_tool("t", method=method, path=path).model_copy(update={"params": params, "outputs": fields})


@pytest.mark.parametrize(
    ("path", "name", "entity"),
    [
        ("/person/{person_id}/credits", "person_id", ("person",)),
        ("/albums/{id}", "id", ("album",)),
        ("/v1/orders/{orderId}/items", "orderId", ("order",)),
        ("/me/albums", "ids", ("album",)),
        ("/weather", "city", ()),
        ("/teams/{team-slug}", "team-slug", ("team",)),
    ],
)
def test_identifiers_among_required_inputs_are_entities(path: str, name: str, entity: tuple[str, ...]) -> None:
    assert required_entities(tool(path, name)) == entity


def test_an_input_that_may_be_left_out_is_not_needed() -> None:
    assert required_entities(http_tool("a", path="/orders", params=("order_id",))) == ()


def test_objects_of_the_output_and_identifiers_among_its_fields_are_given() -> None:
    search = tool("/search", outputs=("tracks.items.*.id", "tracks.items.*.album.name", "owner_id"))
    assert set(produced_entities(search)) == {"search", "track", "album", "owner"}


def test_a_tool_that_says_nothing_of_its_output_gives_what_its_path_is_about() -> None:
    assert set(produced_entities(tool("/movie/top_rated"))) == {"movi", "top_rate"}
    assert "person" in produced_entities(tool("/search/person"))


def test_a_tool_does_not_give_what_it_requires() -> None:
    assert "person" not in produced_entities(tool("/person/{person_id}", "person_id", outputs=("person.id",)))


def test_a_tool_that_writes_gives_only_what_it_says() -> None:
    assert produced_entities(tool("/me/albums", method="PUT")) == ()
    assert produced_entities(tool("/me/albums", method="DELETE", outputs=("snapshot_id",))) == ("snapshot",)


def test_a_tool_without_a_path_gives_what_its_name_is_about() -> None:
    native = http_tool("searchMovies").model_copy(update={"binding": NativeBinding(function="f")})
    assert "movi" in produced_entities(native)


def test_entities_are_bounded() -> None:
    wide = tool("/x", outputs=tuple(f"object{chr(97 + n)}{chr(97 + n)}.id" for n in range(26)))
    assert len(produced_entities(wide)) == MAX_ENTITIES
