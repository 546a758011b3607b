import hashlib

from models.base import JsonObject
from models.plans import Plan, PlannerMode
from planvault.plan.compile import compile_plan
from planvault.plan.graph import plan_graph
from planvault.plan.hashing import canonical_hash, plan_hash
from tests.unit.plan.page import blocks
from tests.unit.plan.shop_tools import tools

TOOLS = tools(blocks("tools")[0].text)
SOURCE = """
orders = list_orders(customer_id=1)
for order in orders:
    if order.late:
        refund(order_id=order.id, amount=order.total)
    else:
        note = "fine"
reply("done")
"""


def plan_of(source: str) -> Plan:
    plan = compile_plan(source, PlannerMode.PYTHON_DSL, TOOLS).plan
    assert plan is not None
    return plan


def test_a_hash_does_not_depend_on_key_order_and_is_that_of_the_canonical_text() -> None:
    assert canonical_hash({"b": 1, "a": 1.0}) == canonical_hash({"a": 1, "b": 1})
    assert (
        canonical_hash({"b": [True, None], "a": "é"})
        == hashlib.sha256('{"a":"é","b":[true,null]}'.encode()).hexdigest()
    )


def test_integers_beyond_a_double_are_told_apart() -> None:
    hashes = {canonical_hash({"id": 2**53 + i}) for i in range(3)} | {canonical_hash({"id": str(2**53)})}
    assert len(hashes) == 4


def test_a_plan_hashes_by_its_meaning_not_by_its_layout() -> None:
    assert plan_hash(plan_of("x = 1\nreply(x)")) == plan_hash(plan_of("x  =  1  # one\n\nreply((x))"))
    assert plan_hash(plan_of("reply(1)")) != plan_hash(plan_of("reply('1')"))
    assert plan_hash(plan_of("reply(1)")) != plan_hash(plan_of("reply(True)"))


def test_the_graph_links_nodes_as_a_run_goes_through_them() -> None:
    nodes = plan_graph(plan_of(SOURCE))["nodes"]
    assert isinstance(nodes, list)
    links: dict[str, JsonObject] = {}
    for node in nodes:
        assert isinstance(node, dict)
        links[str(node["id"])] = {
            key: node[key] for key in ("kind", "tool", "next", "then", "else", "body") if key in node
        }
    assert links == {
        "n1": {"kind": "call", "tool": "list_orders", "next": "n2"},
        "n2": {"kind": "for", "next": "n6", "body": "n3"},
        "n3": {"kind": "if", "then": "n4", "else": "n5"},
        "n4": {"kind": "call", "tool": "refund"},
        "n5": {"kind": "assignment"},
        "n6": {"kind": "reply"},
    }


def test_labels_are_short_and_say_what_the_node_does() -> None:
    nodes = plan_graph(plan_of(f"reply('{'x' * 500}')"))["nodes"]
    assert isinstance(nodes, list)
    node = nodes[0]
    assert isinstance(node, dict)
    assert str(node["label"]).startswith('reply "xxx')
    assert len(str(node["label"])) <= 120
