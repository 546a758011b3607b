"""Prompts on the wire."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from serve_apps.schemas.base import Body, Reply, Text

MAX_PROMPT = 32_000


class PostMessage(Body):
    message: Annotated[Text, StringConstraints(min_length=1, max_length=MAX_PROMPT, pattern=r"\S")] = Field(
        description="The prompt, in natural language."
    )


class MessageAccepted(Reply):
    """The prompt is recorded. Follow it on `/chat` or `/history`."""

    status: Literal["queued"] = "queued"
    message_id: UUID
