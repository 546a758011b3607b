"""Customers and products."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from examples.shop.access import NOT_FOUND, Shop, customer_of
from examples.shop.schemas import Address, Customer, Page, Product

router = APIRouter()

CustomerId = Annotated[int, Path(alias="customerId", description="The customer's number.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Largest number of items in the answer.")]
Offset = Annotated[int, Query(ge=0, description="How many items to skip.")]


@router.get("/customers", operation_id="listCustomers", tags=["customers"])
async def list_customers(
    shop: Shop,
    name: Annotated[str | None, Query(description="Only customers whose name contains this.")] = None,
    city: Annotated[str | None, Query(description="Only customers who live in this city.")] = None,
    vip: Annotated[bool | None, Query(description="Only customers in (or out of) the loyalty programme.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Page[Customer]:
    """List or search customers by name, city or loyalty status."""
    found = [
        customer
        for customer in shop.customers.values()
        if (name is None or name.lower() in customer.name.lower())
        and (city is None or city.lower() == customer.address.city.lower())
        and (vip is None or vip == customer.vip)
    ]
    return Page[Customer](items=found[offset : offset + limit], total=len(found))


@router.get("/customers/{customerId}", operation_id="getCustomer", tags=["customers"], responses=NOT_FOUND)
async def get_customer(shop: Shop, customer_id: CustomerId) -> Customer:
    """Get one customer with name, e-mail and address."""
    return customer_of(shop, customer_id)


@router.put(
    "/customers/{customerId}/address", operation_id="updateCustomerAddress", tags=["customers"], responses=NOT_FOUND
)
async def update_customer_address(shop: Shop, customer_id: CustomerId, address: Address) -> Customer:
    """Change a customer's postal address."""
    changed = customer_of(shop, customer_id).model_copy(update={"address": address})
    shop.customers[customer_id] = changed
    return changed


@router.get("/products", operation_id="listProducts", tags=["products"])
async def list_products(
    shop: Shop,
    in_stock: Annotated[bool | None, Query(alias="inStock", description="Only products that can be sent now.")] = None,
    max_price: Annotated[float | None, Query(alias="maxPrice", gt=0, description="Highest price in euros.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Page[Product]:
    """List the products for sale with price and stock."""
    found = [
        product
        for product in shop.products.values()
        if (in_stock is None or in_stock == (product.stock > 0)) and (max_price is None or product.price <= max_price)
    ]
    return Page[Product](items=found[offset : offset + limit], total=len(found))
