"""What the shop's API takes and gives. camelCase on the wire."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class OrderStatus(StrEnum):
    PENDING = "pending"
    PAID = "paid"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Channel(StrEnum):
    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"


class Address(Wire):
    street: Annotated[str, Field(min_length=1, description="Street and house number.")]
    city: Annotated[str, Field(min_length=1, description="City.")]
    postal_code: Annotated[str, Field(min_length=1, description="Postal code.")]
    country: Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166 two-letter country code.")]


class Customer(Wire):
    id: Annotated[int, Field(description="The customer's number.")]
    name: Annotated[str, Field(description="Full name.")]
    email: Annotated[str, Field(description="E-mail address.")]
    vip: Annotated[bool, Field(description="Takes part in the loyalty programme.")]
    address: Address


class Product(Wire):
    sku: Annotated[str, Field(description="Stock keeping unit, the product's code.")]
    name: Annotated[str, Field(description="What it is called in the shop.")]
    price: Annotated[float, Field(description="Price in euros.")]
    stock: Annotated[int, Field(description="Pieces in the warehouse.")]


class OrderLine(Wire):
    sku: Annotated[str, Field(description="The product's code.")]
    quantity: Annotated[int, Field(ge=1, le=100, description="How many pieces.")]


class Order(Wire):
    id: Annotated[int, Field(description="The order's number.")]
    customer_id: Annotated[int, Field(description="Who ordered.")]
    status: OrderStatus
    total: Annotated[float, Field(description="Sum in euros.")]
    created_at: datetime
    lines: list[OrderLine]
    shipping_address: Address
    note: Annotated[str, Field(description="A wish of the customer.")] = ""


class Delivery(Wire):
    address: Annotated[Address | None, Field(description="Where to; without it the customer's own address.")] = None
    express: Annotated[bool, Field(description="Next-day delivery.")] = False


class NewOrder(Wire):
    customer_id: Annotated[int, Field(description="Who orders.")]
    lines: Annotated[list[OrderLine], Field(min_length=1, description="What is ordered.")]
    delivery: Delivery = Delivery()
    note: Annotated[str, Field(max_length=500, description="A wish of the customer.")] = ""


class NewNotification(Wire):
    customer_id: Annotated[int, Field(description="Who is told.")]
    message: Annotated[str, Field(min_length=1, max_length=1_000, description="The text of the message.")]
    channel: Annotated[Channel, Field(description="How the message is delivered.")] = Channel.EMAIL


class Notification(NewNotification):
    id: Annotated[int, Field(description="The notification's number.")]
    sent_at: datetime


class NewRefund(Wire):
    amount: Annotated[float, Field(gt=0, description="Euros to pay back, at most the order's total.")]
    reason: Annotated[str, Field(max_length=500, description="Why.")] = ""


class Refund(Wire):
    order_id: int
    amount: float
    refunded_total: Annotated[float, Field(description="All that was paid back for this order, this refund included.")]


class SalesReport(Wire):
    orders: Annotated[int, Field(description="Orders counted.")]
    revenue: Annotated[float, Field(description="Their total in euros, refunds taken off.")]
    by_status: Annotated[dict[OrderStatus, int], Field(description="Orders in each status.")]


Item = TypeVar("Item", bound=Wire)


class Page(Wire, Generic[Item]):
    items: list[Item]
    total: Annotated[int, Field(description="How many there are on all pages together.")]


class ErrorBody(Wire):
    detail: Annotated[str, Field(description="What went wrong.")]
