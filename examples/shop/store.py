"""The shop's state: in memory, seeded the same each time."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from examples.shop.schemas import Address, Customer, Notification, Order, OrderLine, OrderStatus, Product

_OPENED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def _customers() -> list[Customer]:
    people = [
        ("Ada Lovelace", "ada@example.com", True, "12 St James's Square", "London", "SW1Y 4JH", "GB"),
        ("Alan Turing", "alan@example.com", False, "2 Warrington Crescent", "London", "W9 1ER", "GB"),
        ("Grace Hopper", "grace@example.com", True, "5 Broadway", "New York", "10004", "US"),
        ("Emmy Noether", "emmy@example.com", False, "Hauptstraße 23", "Erlangen", "91054", "DE"),
        ("Katherine Johnson", "katherine@example.com", False, "100 Exploration Way", "Hampton", "23666", "US"),
    ]
    return [
        Customer(
            id=number,
            name=name,
            email=email,
            vip=vip,
            address=Address(street=street, city=city, postal_code=code, country=country),
        )
        for number, (name, email, vip, street, city, code, country) in enumerate(people, start=1)
    ]


def _products() -> list[Product]:
    return [
        Product(sku="TEA-GREEN", name="Green tea, 250 g", price=8.5, stock=120),
        Product(sku="TEA-BLACK", name="Black tea, 250 g", price=7.0, stock=80),
        Product(sku="MUG-BLUE", name="Blue mug", price=12.0, stock=35),
        Product(sku="KETTLE-1L", name="Kettle, one litre", price=39.9, stock=9),
        Product(sku="SCALE", name="Kitchen scale", price=24.0, stock=0),
    ]


@dataclass
class Store:
    """One shop. Lists are in order of their ids."""

    customers: dict[int, Customer] = field(default_factory=dict)
    products: dict[str, Product] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    notifications: list[Notification] = field(default_factory=list)
    refunds: dict[int, float] = field(default_factory=dict)

    @classmethod
    def seeded(cls) -> "Store":
        store = cls(
            customers={customer.id: customer for customer in _customers()},
            products={product.sku: product for product in _products()},
        )
        past = [
            (1, OrderStatus.DELIVERED, [("TEA-GREEN", 2), ("MUG-BLUE", 1)]),
            (1, OrderStatus.SHIPPED, [("KETTLE-1L", 1)]),
            (2, OrderStatus.PENDING, [("TEA-BLACK", 3)]),
            (3, OrderStatus.PAID, [("MUG-BLUE", 4)]),
            (3, OrderStatus.PENDING, [("TEA-GREEN", 1)]),
            (4, OrderStatus.CANCELLED, [("SCALE", 1)]),
        ]
        for day, (customer, status, lines) in enumerate(past):
            store.place(
                customer,
                [OrderLine(sku=sku, quantity=quantity) for sku, quantity in lines],
                store.customers[customer].address,
                at=_OPENED + timedelta(days=day),
                status=status,
            )
        return store

    def place(
        self,
        customer_id: int,
        lines: list[OrderLine],
        address: Address,
        *,
        at: datetime,
        status: OrderStatus = OrderStatus.PENDING,
        note: str = "",
    ) -> Order:
        order = Order(
            id=1001 + len(self.orders),
            customer_id=customer_id,
            status=status,
            total=round(sum(self.products[line.sku].price * line.quantity for line in lines), 2),
            created_at=at,
            lines=lines,
            shipping_address=address,
            note=note,
        )
        self.orders[order.id] = order
        return order
