"""Keys and tokens outlive whoever made them: what somebody who goes was shown, and its end with theirs.

A text is known to who was shown it, by its making or by a rotation; the one before a rotation to who was shown that,
while it opens. A key that a service token made is known to the person who was shown the token besides.
"""

from __future__ import annotations

from collections.abc import Sequence

from models.access import KnownKey, KnownToken, LeftBehind, Maker
from models.tenants import OrgScope
from planvault.errors import NotAuthenticated, NotFound
from planvault.storage.pool import Connection
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/key_makers.sql")


async def hold_maker(connection: Connection, scope: OrgScope, maker: Maker) -> None:
    """Whoever is about to be shown a text has their place still, and keeps it until the transaction ends.

    Replicas believe in a token or a member for seconds after their end: a text that was given out in that time would
    not be among what they left behind. Raises NotAuthenticated for a token that ended, NotFound for one who left.
    """
    token, person = maker.token_id, maker.user_id
    if token is not None and await connection.fetchval(_SQL["hold_token"], scope.org_id, token) is None:
        raise NotAuthenticated("The service token was revoked or has expired")
    if person is not None and await connection.fetchval(_SQL["hold_member"], scope.org_id, person) is None:
        raise NotFound("There is no such organisation")


async def left_behind(connection: Connection, scope: OrgScope, maker: Maker, *, end: bool) -> LeftBehind:
    """What `maker` was shown and still opens, in the transaction in which they go, after they have.

    `end`: it opens nothing from here on, on other replicas within seconds; a deleted project's keys stay ended when it
    is restored.
    """
    people = (scope.org_id, maker.user_id)
    # Tokens first: a key that is being made through one of them is waited for there, and seen by what looks next.
    tokens = tuple(KnownToken.model_validate(dict(row)) for row in await connection.fetch(_SQL["tokens"], *people))
    keys = tuple(
        KnownKey.model_validate(dict(row)) for row in await connection.fetch(_SQL["keys"], *people, maker.token_id)
    )
    if end:
        await connection.execute(_SQL["end_keys"], scope.org_id, *_parted(keys))
        await connection.execute(_SQL["end_tokens"], scope.org_id, *_parted(tokens))
    return LeftBehind(keys=keys, tokens=tokens, ended=end)


def _parted(known: Sequence[KnownKey] | Sequence[KnownToken]) -> tuple[list[object], list[object]]:
    """Ids of what ends as a whole, and of what loses its old text."""
    return [one.id for one in known if not one.old_text_only], [one.id for one in known if one.old_text_only]
