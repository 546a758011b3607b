"""Sets of the open form, also where they leave out what others have."""

import json
from pathlib import Path

from benchmarks.datasets import declared_tools, drafts_of, prompts, slots_of
from models.base import JsonObject


def written(folder: Path, tools: list[JsonObject], queries: list[JsonObject]) -> Path:
    for name, rows in (("tools.jsonl", tools), ("queries.jsonl", queries)):
        (folder / name).write_text("\n".join(map(json.dumps, rows)) + "\n", encoding="utf-8")
    return folder


def test_a_tool_that_says_little_is_a_tool(tmp_path: Path) -> None:
    bare: JsonObject = {"tool_id": "a", "name": None, "parameters": None, "description": None, "path": None}
    odd: JsonObject = {"tool_id": "b", "name": "class", "parameters": [{"name": "n", "type": "ENUM"}, "m"]}

    first, second = declared_tools(written(tmp_path, [bare, odd, bare], []))

    assert (first.name, first.method, first.path, first.group, first.params) == ("a", "GET", "", "", ())
    assert [(param.name, param.schema_["type"]) for param in second.params] == [("n", "string"), ("m", "string")]


def test_drafts_have_names_of_their_own_and_the_title_that_people_gave(tmp_path: Path) -> None:
    tools: list[JsonObject] = [{"tool_id": str(number), "name": "Get all"} for number in range(3)]
    tools.append({"tool_id": "x", "name": "search"})

    drafts = drafts_of(declared_tools(written(tmp_path, tools, [])))

    assert len({draft.name for draft in drafts}) == 4
    assert [draft.summary for draft in drafts] == ["Get all", "Get all", "Get all", "search"]


def test_slots_go_before_gold_ids() -> None:
    assert slots_of({"gold_tool_ids": ["a"], "gold_slots": [["b", "c"]]}) == (frozenset("bc"),)
    assert slots_of({"gold_tool_ids": ["a"], "gold_slots": []}) == (frozenset("a"),)


def test_what_only_one_tool_can_meet_is_needed_once() -> None:
    assert slots_of({"gold_tool_ids": ["a", "b", "a"]}) == (frozenset("a"), frozenset("b"))
    assert slots_of({"gold_slots": [["a", "b"], ["b", "a"], [], ["a"], ["a", "a"]]}) == (
        frozenset("ab"),
        frozenset("ab"),
        frozenset("a"),
    )


def test_prompts_that_need_nothing_are_told_from_those_that_do(tmp_path: Path) -> None:
    rows: list[JsonObject] = [
        {"query_id": 1, "text": "a", "gold_tool_ids": []},
        {"query_id": 2, "text": "b", "gold_tool_ids": ["x"], "split": None},
    ]

    found = prompts(written(tmp_path, [], rows))

    assert [(prompt.id, prompt.split, bool(prompt.slots)) for prompt in found] == [("1", "", False), ("2", "", True)]
