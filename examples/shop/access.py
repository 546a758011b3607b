"""How routes reach the shop's state, and what they say when something is not there."""

from typing import Annotated, Any

from fastapi import Depends, HTTPException, Request

from examples.shop.schemas import Customer, ErrorBody, Order
from examples.shop.store import Store


def _store(request: Request) -> Store:
    store = request.app.state.store
    assert isinstance(store, Store)
    return store


Shop = Annotated[Store, Depends(_store)]

NOT_FOUND: dict[int | str, dict[str, Any]] = {404: {"model": ErrorBody, "description": "There is no such thing."}}
CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": ErrorBody, "description": "Not possible in this state."}}


def customer_of(store: Store, customer_id: int) -> Customer:
    customer = store.customers.get(customer_id)
    if customer is None:
        raise HTTPException(404, f"There is no customer {customer_id}.")
    return customer


def order_of(store: Store, order_id: int) -> Order:
    order = store.orders.get(order_id)
    if order is None:
        raise HTTPException(404, f"There is no order {order_id}.")
    return order
