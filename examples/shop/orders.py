"""Orders: find, place, cancel, track, refund."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query

from examples.shop.access import CONFLICT, NOT_FOUND, Shop, customer_of, order_of
from examples.shop.customers import Limit, Offset
from examples.shop.schemas import ErrorBody, NewOrder, NewRefund, Order, OrderStatus, Page, Refund

router = APIRouter(prefix="/orders", tags=["orders"])
owner_router = APIRouter(prefix="/orders", tags=["orders"])

OrderId = Annotated[int, Path(alias="orderId", description="The order's number.")]
_TOO_LATE = {OrderStatus.SHIPPED, OrderStatus.DELIVERED, OrderStatus.CANCELLED}


@router.get("", operation_id="listOrders")
async def list_orders(
    shop: Shop,
    customer_id: Annotated[int | None, Query(alias="customerId", description="Only orders of this customer.")] = None,
    status: Annotated[OrderStatus | None, Query(description="Only orders in this status.")] = None,
    min_total: Annotated[float | None, Query(alias="minTotal", description="Smallest sum in euros.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Page[Order]:
    """List or search orders by customer, status or sum."""
    found = [
        order
        for order in shop.orders.values()
        if (customer_id is None or order.customer_id == customer_id)
        and (status is None or order.status == status)
        and (min_total is None or order.total >= min_total)
    ]
    return Page[Order](items=found[offset : offset + limit], total=len(found))


@router.post("", operation_id="createOrder", status_code=201, responses=NOT_FOUND | CONFLICT)
async def create_order(shop: Shop, new: NewOrder) -> Order:
    """Place a new order for a customer. Takes the products out of stock."""
    customer = customer_of(shop, new.customer_id)
    wanted: dict[str, int] = {}
    for line in new.lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    for sku, quantity in wanted.items():
        if sku not in shop.products:
            raise HTTPException(404, f"There is no product {sku}.")
        if shop.products[sku].stock < quantity:
            raise HTTPException(409, f"Only {shop.products[sku].stock} of {sku} are left.")
    for sku, quantity in wanted.items():
        product = shop.products[sku]
        shop.products[sku] = product.model_copy(update={"stock": product.stock - quantity})
    address = new.delivery.address or customer.address
    return shop.place(customer.id, new.lines, address, at=datetime.now(UTC), note=new.note)


@router.get("/{orderId}", operation_id="getOrder", responses=NOT_FOUND)
async def get_order(shop: Shop, order_id: OrderId) -> Order:
    """Get one order with its status, lines and sum."""
    return order_of(shop, order_id)


@router.delete("/{orderId}", operation_id="cancelOrder", responses=NOT_FOUND | CONFLICT)
async def cancel_order(shop: Shop, order_id: OrderId) -> Order:
    """Cancel an order that has not been shipped yet. Cannot be undone."""
    order = order_of(shop, order_id)
    if order.status in _TOO_LATE:
        raise HTTPException(409, f"Order {order_id} is {order.status} and cannot be cancelled.")
    shop.orders[order_id] = order.model_copy(update={"status": OrderStatus.CANCELLED})
    return shop.orders[order_id]


@router.get(
    "/{orderId}/tracking",
    operation_id="trackShipment",
    responses=NOT_FOUND | {500: {"model": ErrorBody, "description": "The carrier does not answer."}},
)
async def track_shipment(shop: Shop, order_id: OrderId) -> dict[str, str]:
    """Ask the carrier where the parcel of an order is now."""
    order_of(shop, order_id)
    # The shop's one broken operation: it shows how a failure looks from the other side.
    raise HTTPException(500, "The carrier's tracking system is switched off.")


@owner_router.post("/{orderId}/refunds", operation_id="refundOrder", status_code=201, responses=NOT_FOUND | CONFLICT)
async def refund_order(shop: Shop, order_id: OrderId, new: NewRefund) -> Refund:
    """Pay money back for an order. Needs the shop's token."""
    order = order_of(shop, order_id)
    refunded = round(shop.refunds.get(order_id, 0.0) + new.amount, 2)
    if refunded > order.total:
        raise HTTPException(409, f"Order {order_id} was {order.total} euros; {refunded} would be too much.")
    shop.refunds[order_id] = refunded
    return Refund(order_id=order_id, amount=new.amount, refunded_total=refunded)
