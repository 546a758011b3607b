"""Messages to customers: the shop's side effect that nobody can take back."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from examples.shop.access import NOT_FOUND, Shop, customer_of
from examples.shop.customers import Limit, Offset
from examples.shop.schemas import Channel, NewNotification, Notification, Page

router = APIRouter(prefix="/notifications", tags=["notifications"])


@router.get("", operation_id="listNotifications")
async def list_notifications(
    shop: Shop,
    customer_id: Annotated[int | None, Query(alias="customerId", description="Only messages to this customer.")] = None,
    channel: Annotated[Channel | None, Query(description="Only messages sent this way.")] = None,
    limit: Limit = 20,
    offset: Offset = 0,
) -> Page[Notification]:
    """List the messages that were sent to customers."""
    found = [
        sent
        for sent in shop.notifications
        if (customer_id is None or sent.customer_id == customer_id) and (channel is None or sent.channel == channel)
    ]
    return Page[Notification](items=found[offset : offset + limit], total=len(found))


@router.post("", operation_id="sendNotification", status_code=201, responses=NOT_FOUND)
async def send_notification(shop: Shop, new: NewNotification) -> Notification:
    """Send a message to a customer by e-mail, SMS or push."""
    customer_of(shop, new.customer_id)
    sent = Notification(
        id=1 + len(shop.notifications),
        sent_at=datetime.now(UTC),
        customer_id=new.customer_id,
        message=new.message,
        channel=new.channel,
    )
    shop.notifications.append(sent)
    return sent
