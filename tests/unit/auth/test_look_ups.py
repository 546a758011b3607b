"""Look-ups that many wait for: each test holds the answer back until all have asked."""

import asyncio
import gc
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID

from models.access import Role, User
from models.ids import KeyId, OrgId, ProjectId, ServiceTokenId, UserId
from planvault.auth.authenticator import Authenticator, KeyRecord
from planvault.auth.keys import new_project_key, new_service_token
from planvault.auth.look_ups import LookUps
from planvault.auth.oidc_claims import Identity
from planvault.auth.service_tokens import ServiceTokenRecord
from planvault.auth.sign_in import SignIn
from planvault.auth.tenancy import CachedTenancy

Answer = TypeVar("Answer")
KEY, TOKEN = new_project_key(), new_service_token()
MANY = 50


class Held:
    """Answers, in the order of the questions, when it is let go."""

    def __init__(self, *answers: str | Exception | None) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.free = asyncio.Event()

    async def __call__(self) -> str | None:
        answer = self.answers[self.asked]
        self.asked += 1
        await self.free.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer


async def all_ask(look_ups: LookUps[str, str], held: Held, times: int = MANY) -> list[asyncio.Task[str | None]]:
    asking = [asyncio.create_task(look_ups.find("k", held)) for _ in range(times)]
    await turns()
    return asking


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_all_who_ask_while_one_look_up_is_under_way_get_its_answer_and_the_next_asks_anew() -> None:
    held, look_ups = Held("ada", "bob"), LookUps[str, str](lambda: 0.0, 4.0)
    asking = await all_ask(look_ups, held)
    held.free.set()
    assert await asyncio.gather(*asking) == ["ada"] * MANY
    assert held.asked == 1
    assert await look_ups.find("k", held) == "bob"


async def test_who_asked_first_may_go_without_taking_the_answer_from_the_others() -> None:
    held, look_ups = Held("ada"), LookUps[str, str](lambda: 0.0, 4.0)
    first, *others = await all_ask(look_ups, held)
    first.cancel()
    await turns()
    held.free.set()
    assert await asyncio.gather(*others) == ["ada"] * (MANY - 1)
    assert first.cancelled()


async def test_a_fault_is_everybodys_and_the_next_asks_anew() -> None:
    held, look_ups = Held(ConnectionRefusedError(), "ada"), LookUps[str, str](lambda: 0.0, 4.0)
    asking = await all_ask(look_ups, held)
    held.free.set()
    faults = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(fault) for fault in faults} == {ConnectionRefusedError}
    assert held.asked == 1
    assert await look_ups.find("k", held) == "ada"


async def test_a_fault_that_nobody_waits_for_any_more_is_no_complaint_of_asyncio_s() -> None:
    complaints: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
    held, look_ups = Held(ConnectionRefusedError()), LookUps[str, str](lambda: 0.0, 4.0)
    [asking] = await all_ask(look_ups, held, times=1)
    asking.cancel()
    await turns()
    held.free.set()
    await turns()
    gc.collect()
    assert complaints == []


async def test_that_something_is_not_there_is_told_to_nobody_who_asked_later() -> None:
    held, look_ups = Held(None, "made meanwhile"), LookUps[str, str](lambda: 0.0, 4.0)
    asking = await all_ask(look_ups, held, times=2)
    held.free.set()
    assert await asyncio.gather(*asking) == [None, "made meanwhile"]


async def test_a_look_up_that_takes_longer_than_its_answer_is_believed_is_joined_by_nobody() -> None:
    now = 0.0
    held, look_ups = Held("as it was", "as it is", "never"), LookUps[str, str](lambda: now, 4.0)
    before = await all_ask(look_ups, held, times=1)
    now = 4.0
    after = await all_ask(look_ups, held, times=2)
    held.free.set()
    assert await asyncio.gather(*before, *after) == ["as it was", "as it is", "as it is"]


# ── where they are used ──────────────────────────────────────────────────────────────────────────────────────────────

ORG, PROJECT, ADA = OrgId(UUID(int=1)), ProjectId(UUID(int=2)), UserId(UUID(int=3))
SOON = datetime(2030, 1, 1, tzinfo=UTC)


class Database:
    """All that is looked up of callers, slowly."""

    def __init__(self) -> None:
        self.questions: list[str] = []

    async def _slowly(self, question: str, answer: Answer) -> Answer:
        self.questions.append(question)
        await turns()
        return answer

    async def find(self, sha256: bytes) -> KeyRecord | None:
        return await self._slowly("key", KeyRecord(KeyId(UUID(int=4)), ORG, PROJECT, "ci", ()))

    async def signed_in(self, issuer: str, subject: str, *, email: str, email_verified: bool, name: str) -> User:
        told = {"issuer": issuer, "subject": subject, "email": email, "email_verified": email_verified, "name": name}
        return await self._slowly("person", User(id=ADA, **told))

    async def organization_exists(self, org_id: OrgId) -> bool:
        return await self._slowly("organisation", True)

    async def organization_of(self, project_id: ProjectId) -> OrgId | None:
        return await self._slowly("project", ORG)

    async def role_of(self, org_id: OrgId, user_id: UserId) -> Role | None:
        return await self._slowly("role", Role.MEMBER)


class Tokens:
    def __init__(self) -> None:
        self.questions = 0

    async def find(self, sha256: bytes) -> ServiceTokenRecord | None:
        self.questions += 1
        await turns()
        return ServiceTokenRecord(ServiceTokenId(UUID(int=5)), ORG, "ci", Role.MEMBER, SOON, 60.0)


class Issuer:
    async def identify(self, text: str, sha256: bytes) -> Identity:
        return Identity("https://issuer", "ada", "ada@acme.example", True, "Ada", SOON, False)


async def test_streams_that_ask_again_at_the_same_moment_cost_a_statement_for_each_thing_asked() -> None:
    """A thousand viewers of one key come back at once after a restart, and go on in step."""
    database, tokens = Database(), Tokens()
    authenticator = Authenticator(database, "", services=tokens, sign_in=SignIn(Issuer(), database))
    tenancy = CachedTenancy(database)
    await asyncio.gather(
        *(
            asked
            for _ in range(MANY)
            for asked in (
                authenticator.authenticate(f"Bearer {KEY.text}"),
                authenticator.authenticate(f"Bearer {TOKEN.text}"),
                authenticator.authenticate("Bearer eyJ.of.ada"),
                tenancy.organization_exists(ORG),
                tenancy.organization_of(PROJECT),
                tenancy.role_of(ORG, ADA),
            )
        )
    )
    assert sorted(database.questions) == ["key", "organisation", "person", "project", "role"]
    assert tokens.questions == 1
