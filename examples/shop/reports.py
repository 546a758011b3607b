"""Figures for the shop's owner."""

from collections import Counter

from fastapi import APIRouter

from examples.shop.access import Shop
from examples.shop.schemas import OrderStatus, SalesReport

router = APIRouter(prefix="/reports", tags=["reports"])


@router.get("/sales", operation_id="getSalesReport")
async def get_sales_report(shop: Shop) -> SalesReport:
    """Get the sales report: number of orders, revenue, orders by status. Needs the shop's token."""
    sold = [order for order in shop.orders.values() if order.status is not OrderStatus.CANCELLED]
    revenue = sum(order.total for order in sold) - sum(shop.refunds.values())
    by_status = Counter(order.status for order in shop.orders.values())
    return SalesReport(orders=len(sold), revenue=round(revenue, 2), by_status=dict(by_status))
