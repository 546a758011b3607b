"""The blocks of a flat node list: which node stands where. Every node stands in exactly one block.

A lone `if` in an `else` is an `elif` of the other spelling: it stands as deep as the `if` before it.
"""

from collections import deque
from dataclasses import dataclass

from models.base import JsonObject, JsonValue
from planvault.plan.json_document import Document
from planvault.plan.json_positions import JsonPath
from planvault.plan.limits import MAX_BLOCK_DEPTH, MAX_CHAINED_IFS, MAX_PLAN_NODES
from planvault.plan.problems import Problems, did_you_mean, shown
from planvault.plan.schema import node_fields

_KINDS = tuple(node_fields())
_BLOCKS = {"if": ("then", "else"), "for": ("body",)}


def _too_deep(depth: int, chained: int) -> str | None:
    if depth > MAX_BLOCK_DEPTH:
        return f"Blocks nest at most {MAX_BLOCK_DEPTH} deep."
    return f"At most {MAX_CHAINED_IFS} elifs follow each other." if chained > MAX_CHAINED_IFS else None


@dataclass(frozen=True, slots=True)
class NodeTree:
    """`nodes` by their position in the list; blocks hold positions."""

    nodes: list[JsonObject]
    roots: list[int]
    blocks: dict[tuple[int, str], list[int]]

    def children(self, position: int, block: str) -> list[int]:
        return self.blocks.get((position, block), [])


def node_tree(document: Document, problems: Problems) -> NodeTree | None:
    """The tree, without the nodes and references that make none; None where nothing is left to read."""
    found = document.root.get("nodes")
    if not isinstance(found, list):
        problems.add("WRONG_SHAPE", "'nodes' must be a list.", document.at(("nodes",)), "List every node of the plan.")
        return None
    if len(found) > MAX_PLAN_NODES:
        problems.add("TOO_LARGE", f"A plan has at most {MAX_PLAN_NODES} nodes.", document.at(("nodes",)))
        return None
    return _Builder(document, problems, found).build()


class _Builder:
    def __init__(self, document: Document, problems: Problems, found: list[JsonValue]) -> None:
        self._document = document
        self._problems = problems
        self._nodes: dict[int, JsonObject] = {}
        self._positions: dict[str, int] = {}
        self._placed: set[int] = set()
        for position, item in enumerate(found):
            self._register(position, item)
        self._size = len(found)

    def _add(self, code: str, message: str, path: JsonPath, hint: str = "") -> None:
        self._problems.add(code, message, self._document.at(path), hint)

    def _register(self, position: int, item: JsonValue) -> None:
        path: JsonPath = ("nodes", position)
        if not isinstance(item, dict):
            self._add("WRONG_SHAPE", "A node is an object.", path, f"Its kind is one of {', '.join(_KINDS)}.")
            return
        kind, name = item.get("kind"), item.get("id")
        if kind not in _KINDS:
            hint = did_you_mean(str(kind)[:60], _KINDS, f"The kinds are {', '.join(_KINDS)}.")
            self._add("UNKNOWN_KIND", "There is no such kind of node.", (*path, "kind"), hint)
            item = {"kind": "reply", "id": name, "expr": "None"}
        if not isinstance(name, str) or not name:
            self._add("WRONG_SHAPE", "A node needs an 'id', a string.", path, 'Number them: "n1", "n2", …')
        elif name in self._positions:
            self._add("DUPLICATE_ID", f"Two nodes have the id {shown(name)}.", (*path, "id"), "Number them.")
        else:
            self._positions[name] = position
            self._nodes[position] = item

    def build(self) -> NodeTree:
        """Iterative, so that a cycle or a tower of blocks meets no recursion."""
        roots = self._references(self._document.root, "body", ())
        blocks: dict[tuple[int, str], list[int]] = {}
        waiting = deque((position, 0, 0) for position in roots)
        while waiting:
            position, depth, chained = waiting.popleft()
            node = self._nodes[position]
            for block in _BLOCKS.get(str(node["kind"]), ()):
                inner = self._references(node, block, ("nodes", position))
                chains = block == "else" and len(inner) == 1 and self._nodes[inner[0]]["kind"] == "if"
                problem = _too_deep(depth + (not chains), chained + chains) if inner else None
                if problem:
                    self._add("TOO_COMPLEX", problem, ("nodes", position), "Split it into smaller steps.")
                    inner = []
                blocks[position, block] = inner
                waiting.extend((each, depth + (not chains), chained + chains) for each in inner)
        for name, position in self._positions.items():
            if position not in self._placed:
                hint = "Name it in 'body', 'then', 'else' or in the body of a for."
                self._add("UNPLACED_NODE", f"The node {shown(name)} stands in no block.", ("nodes", position), hint)
        nodes = [self._nodes.get(position, {}) for position in range(self._size)]
        return NodeTree(nodes, roots, blocks)

    def _references(self, holder: JsonObject, block: str, path: JsonPath) -> list[int]:
        ids = holder.get(block)
        if ids is None and block == "else":
            return []
        if not isinstance(ids, list):
            place = (*path, block) if block in holder else path
            self._add("WRONG_SHAPE", f"{block!r} must be a list of node ids.", place)
            return []
        return [found for i, name in enumerate(ids) if (found := self._reference(name, (*path, block, i))) is not None]

    def _reference(self, name: JsonValue, path: JsonPath) -> int | None:
        position = self._positions.get(name) if isinstance(name, str) else None
        if position is None:
            hint = did_you_mean(str(name)[:60], self._positions)
            self._add("UNKNOWN_NODE", f"There is no node {shown(str(name))}.", path, hint)
        elif position in self._placed:
            hint = "Repeat the node under another id."
            self._add("NODE_TWICE", f"The node {shown(str(name))} stands in two places.", path, hint)
        else:
            self._placed.add(position)
            return position
        return None
