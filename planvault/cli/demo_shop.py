"""The demo's sample service in a process of its own, and a look at its state past the platform."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic.alias_generators import to_camel

from models.base import JsonObject
from planvault.errors import BringUpFailed

STOP_S = 5.0
_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


class Sent(BaseModel):
    """A message that the shop has sent."""

    model_config = ConfigDict(alias_generator=to_camel)

    customer_id: int
    channel: str


class _SentPage(BaseModel):
    items: list[Sent]


@dataclass(frozen=True, slots=True)
class RunningShop:
    """`token` opens what only the shop's owner may do."""

    base_url: str
    token: str

    def read(self, path: str) -> JsonObject:
        """A GET that the platform has no part in."""
        return _OBJECT.validate_json(self._get(path))

    def notifications(self) -> list[Sent]:
        return _SentPage.model_validate_json(self._get("/notifications")).items

    def _get(self, path: str) -> bytes:
        answer = httpx.get(f"{self.base_url}{path}", headers={"Authorization": f"Bearer {self.token}"})
        answer.raise_for_status()
        return answer.content


@contextmanager
def running_shop() -> Iterator[RunningShop]:
    """`python -m examples.shop` on a free port, with a fresh token. Raises BringUpFailed where it cannot start."""
    if find_spec("examples") is None:
        raise BringUpFailed("The sample service is not part of the installed package; run the demo in a checkout.")
    token = secrets.token_urlsafe(24)
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.shop", "--port", "0"],
        env=os.environ | {"SHOP_TOKEN": token, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        announced = process.stdout.readline()  # empty when the process has ended
        if not announced.startswith("shop: "):
            raise BringUpFailed("The sample service did not start; `python -m examples.shop` says why.")
        yield RunningShop(announced.removeprefix("shop: ").strip(), token)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
