from uuid import UUID

import pytest

from models.ids import KeyId, OrgId, ProjectId
from planvault.auth.authenticator import CACHE_S, Authenticator, KeyRecord
from planvault.auth.keys import new_admin_token, new_project_key
from planvault.auth.principals import PrincipalKind
from planvault.errors import BringUpFailed, NotAuthenticated

KEY, ADMIN = new_project_key(), new_admin_token()
RECORD = KeyRecord(KeyId(UUID(int=1)), OrgId(UUID(int=2)), ProjectId(UUID(int=3)), "ci", ("hrn:project:*",))


class Directory:
    def __init__(self) -> None:
        self.live = {KEY.sha256: RECORD}
        self.look_ups = 0

    async def find(self, sha256: bytes) -> KeyRecord | None:
        self.look_ups += 1
        return self.live.get(sha256)


class Elapsed:
    at = 0.0

    def __call__(self) -> float:
        return self.at


async def test_a_project_key_gives_its_tenant_and_scopes() -> None:
    principal = await Authenticator(Directory(), "").authenticate(f"Bearer {KEY.text}")
    assert principal.kind is PrincipalKind.PROJECT_KEY
    assert (principal.org_id, principal.project_id, principal.key_id) == (RECORD.org_id, RECORD.project_id, RECORD.id)
    assert principal.scopes == ("hrn:project:*",)
    assert principal.actor == "key:ci"


async def test_the_admin_token_is_known_by_its_digest_in_either_case() -> None:
    for configured in (ADMIN.sha256.hex(), ADMIN.sha256.hex().upper()):
        principal = await Authenticator(Directory(), configured).authenticate(f"bearer {ADMIN.text}")
        assert principal.kind is PrincipalKind.ADMIN
        assert principal.org_id is None


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        KEY.text,
        f"Basic {KEY.text}",
        f"Bearer {KEY.text}x",
        f"Bearer {KEY.text[:-1]}",
        f"Bearer {ADMIN.text}x",
        "Bearer sk_live_",
        "Bearer sk_live_ÿ",
        "Bearer " + "x" * 10_000,
    ],
    # Named: the keys are made anew by every process, and workers must agree on what the tests are called.
    ids=[
        *("nothing", "empty", "a scheme alone", "a scheme and a space", "no scheme", "another scheme"),
        *("a character more", "a character less", "an admin token and a character", "a prefix", "not ASCII", "long"),
    ],
)
async def test_anything_else_is_refused_without_being_repeated(header: str | None) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        await Authenticator(Directory(), ADMIN.sha256.hex()).authenticate(header)
    assert KEY.text[8:20] not in refused.value.detail


async def test_without_a_configured_digest_no_admin_token_works() -> None:
    for text in (ADMIN.text, "pv_admin_"):
        with pytest.raises(NotAuthenticated):
            await Authenticator(Directory(), "").authenticate(f"Bearer {text}")


@pytest.mark.parametrize("configured", ["abc", "z" * 64, "0" * 63])
def test_a_digest_that_is_none_stops_the_start(configured: str) -> None:
    with pytest.raises(BringUpFailed, match="PLANVAULT_ADMIN_TOKEN_SHA256"):
        Authenticator(Directory(), configured)


async def test_a_known_key_is_looked_up_once_in_a_while_and_a_revoked_one_stops_within_five_seconds() -> None:
    directory, elapsed = Directory(), Elapsed()
    authenticator = Authenticator(directory, "", elapsed=elapsed)
    for _ in range(3):
        await authenticator.authenticate(f"Bearer {KEY.text}")
    assert directory.look_ups == 1

    directory.live.clear()
    elapsed.at = CACHE_S
    assert CACHE_S < 5
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(f"Bearer {KEY.text}")


async def test_unknown_keys_are_not_remembered_so_a_new_key_works_at_once() -> None:
    directory = Directory()
    authenticator = Authenticator(directory, "")
    directory.live.clear()
    with pytest.raises(NotAuthenticated):
        await authenticator.authenticate(f"Bearer {KEY.text}")
    directory.live[KEY.sha256] = RECORD
    assert (await authenticator.authenticate(f"Bearer {KEY.text}")).key_id == RECORD.id


async def test_service_tokens_and_signed_tokens_open_nothing_where_nobody_keeps_them() -> None:
    with pytest.raises(NotAuthenticated, match="service token"):
        await Authenticator(Directory(), ADMIN.sha256.hex()).authenticate("Bearer st_live_abc")
    with pytest.raises(NotAuthenticated, match="not known"):
        await Authenticator(Directory(), ADMIN.sha256.hex()).authenticate("Bearer eyJhbGciOiJub25lIn0.e30.")
