import pytest

from models.base import JsonObject
from models.tools import ApprovalPolicy, Idempotency, RiskClass
from planvault.policy.risk import approval_of, classify, idempotency_header_of, idempotency_of, timeout_of


@pytest.mark.parametrize(
    ("method", "text", "expected"),
    [
        ("GET", "listOrders", RiskClass.READ),
        ("GET", "getPayment", RiskClass.READ),
        ("GET", "deleteUser", RiskClass.DESTRUCTIVE),
        ("POST", "createOrder", RiskClass.WRITE),
        ("PUT", "orders_update", RiskClass.WRITE),
        ("DELETE", "anything", RiskClass.DESTRUCTIVE),
        ("POST", "cancelOrder /orders/{id}/cancel", RiskClass.DESTRUCTIVE),
        ("POST", "create_refund", RiskClass.MONEY),
        ("POST", "PostCharges", RiskClass.MONEY),
        ("POST", "sendSMS", RiskClass.EXTERNAL_EFFECT),
        ("POST", "notifications.create", RiskClass.EXTERNAL_EFFECT),
        ("POST", "repayable_transferable", RiskClass.WRITE),
    ],
)
def test_the_method_and_the_words_of_the_name_give_the_risk(method: str, text: str, expected: RiskClass) -> None:
    assert classify(method, text) is expected


def test_a_stated_risk_wins_and_an_unknown_one_is_ignored() -> None:
    assert classify("DELETE", "x", {"x-planvault-risk": "read"}) is RiskClass.READ
    assert classify("DELETE", "x", {"x-planvault-risk": "harmless"}) is RiskClass.DESTRUCTIVE


@pytest.mark.parametrize(
    ("method", "extensions", "expected"),
    [
        ("GET", {}, Idempotency.SAFE),
        ("HEAD", {}, Idempotency.SAFE),
        ("PUT", {}, Idempotency.NONE),
        ("DELETE", {}, Idempotency.NONE),
        ("POST", {"x-planvault-idempotency": "declared"}, Idempotency.DECLARED),
        ("GET", {"x-planvault-idempotency": "none"}, Idempotency.NONE),
        ("POST", {"x-idempotency-header": "Idempotency-Key"}, Idempotency.KEYED),
        ("POST", {"x-idempotency-header": "bad header\r\n"}, Idempotency.NONE),
    ],
)
def test_only_reading_methods_are_safe_by_themselves(
    method: str, extensions: JsonObject, expected: Idempotency
) -> None:
    assert idempotency_of(method, extensions) is expected


def test_the_header_and_the_approval_are_read_from_extensions() -> None:
    assert idempotency_header_of({"x-planvault-idempotency-header": "X-Once"}) == "X-Once"
    assert idempotency_header_of(None) is None
    assert approval_of({"x-planvault-approval": "always"}) is ApprovalPolicy.ALWAYS
    assert approval_of({}) is ApprovalPolicy.DEFAULT


@pytest.mark.parametrize(
    ("stated", "seconds"), [(5, 5.0), (0.5, 0.5), (600, 600.0), (0, 30.0), (601, 30.0), ("5", 30.0), (True, 30.0)]
)
def test_a_stated_timeout_counts_within_its_bounds(stated: float | str, seconds: float) -> None:
    assert timeout_of({"x-planvault-timeout-seconds": stated}) == seconds
