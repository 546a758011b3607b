"""The sample service behaves as its README says."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient
from openapi_spec_validator import validate

from examples.shop.app import create_app

OWNER = {"Authorization": "Bearer t0ken"}


@pytest.fixture
def shop() -> Iterator[TestClient]:
    with TestClient(create_app(token="t0ken", latency_s=0)) as client:
        yield client


def test_its_document_is_valid_and_every_operation_has_a_name_and_a_description(shop: TestClient) -> None:
    document = shop.get("/openapi.json").json()

    validate(document)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations) == 13
    assert all(operation["description"] for operation in operations)
    assert document["paths"]["/reports/sales"]["get"]["security"] == [{"HTTPBearer": []}]


def test_filters_and_paging_narrow_lists(shop: TestClient) -> None:
    assert [c["name"] for c in shop.get("/customers", params={"city": "london"}).json()["items"]] == [
        "Ada Lovelace",
        "Alan Turing",
    ]
    page = shop.get("/customers", params={"limit": 2, "offset": 3}).json()
    assert ([c["id"] for c in page["items"]], page["total"]) == ([4, 5], 5)
    pending = shop.get("/orders", params={"status": "pending", "customerId": 3}).json()["items"]
    assert [order["id"] for order in pending] == [1005]
    assert all(p["stock"] for p in shop.get("/products", params={"inStock": True, "maxPrice": 10}).json()["items"])


def test_an_unknown_status_is_refused(shop: TestClient) -> None:
    assert shop.get("/orders", params={"status": "lost"}).status_code == 422


def test_an_order_takes_products_out_of_stock_and_goes_to_the_given_address(shop: TestClient) -> None:
    address = {"street": "Quai 1", "city": "Paris", "postalCode": "75001", "country": "FR"}
    new = {"customerId": 1, "lines": [{"sku": "KETTLE-1L", "quantity": 9}], "delivery": {"address": address}}

    order = shop.post("/orders", json=new).json()

    assert order["shippingAddress"] == address
    assert order["total"] == 359.1
    assert shop.get(f"/orders/{order['id']}").json() == order
    assert shop.post("/orders", json=new).status_code == 409


def test_stock_counts_all_lines_of_a_product_together(shop: TestClient) -> None:
    new = {"customerId": 1, "lines": [{"sku": "KETTLE-1L", "quantity": 5}] * 2}

    assert shop.post("/orders", json=new).status_code == 409


def test_a_pending_order_can_be_cancelled_once(shop: TestClient) -> None:
    assert shop.delete("/orders/1003").json()["status"] == "cancelled"
    assert shop.delete("/orders/1003").status_code == 409
    assert shop.delete("/orders/1002").status_code == 409, "shipped"
    assert shop.delete("/orders/9").status_code == 404


def test_a_notification_is_kept(shop: TestClient) -> None:
    sent = shop.post("/notifications", json={"customerId": 2, "message": "Hello", "channel": "sms"})

    assert sent.status_code == 201
    assert shop.get("/notifications", params={"customerId": 2}).json()["items"] == [sent.json()]


def test_tracking_always_fails_definitely(shop: TestClient) -> None:
    answer = shop.get("/orders/1002/tracking")

    assert answer.status_code == 500
    assert "carrier" in answer.json()["detail"]


def test_the_report_and_refunds_need_the_token(shop: TestClient) -> None:
    assert shop.get("/reports/sales").status_code == 401
    assert shop.get("/reports/sales", headers={"Authorization": "Bearer wrong"}).status_code == 401
    before = shop.get("/reports/sales", headers=OWNER).json()["revenue"]

    assert shop.post("/orders/1004/refunds", json={"amount": 10}, headers=OWNER).status_code == 201
    assert shop.get("/reports/sales", headers=OWNER).json()["revenue"] == before - 10
    assert shop.post("/orders/1004/refunds", json={"amount": 1000}, headers=OWNER).status_code == 409


def test_an_address_is_replaced_whole(shop: TestClient) -> None:
    address = {"street": "Neue Straße 1", "city": "Göttingen", "postalCode": "37073", "country": "DE"}

    assert shop.put("/customers/4/address", json=address).json()["address"] == address
    assert shop.put("/customers/4/address", json={"city": "Göttingen"}).status_code == 422
