"""`planvault demo`: the platform from nothing to five finished prompts, over its public API only, and down again."""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from cluster.bringup import Report, UpOptions, up
from cluster.credentials import Credentials
from cluster.ports import free_port
from cluster.teardown import down
from cluster.topology import LOOPBACK
from planvault.cli.answers import AnswerByRule, AskPerson
from planvault.cli.client import ApiClient
from planvault.cli.demo_scenes import SCENES, Scene, judge
from planvault.cli.demo_shop import RunningShop, running_shop
from planvault.cli.imports import await_import
from planvault.cli.live import EventPrinter
from planvault.cli.problem import ApiProblem
from planvault.cli.questions import Answers
from planvault.cli.watch import RunSeen, Watcher
from planvault.errors import PlanVaultError

IMPORT_S = 120.0
SECRET = "SHOP_TOKEN"  # noqa: S105 - a name, not a value

OpenPlatform = Callable[[], AbstractContextManager[Credentials]]
Reporting = Callable[[], AbstractContextManager[Report]]
OpenShop = Callable[[], AbstractContextManager[RunningShop]]


@contextmanager
def temporary_platform(reporting: Reporting, port: int = 0) -> Iterator[Credentials]:
    """A platform of its own in a temporary data directory, on `port` or a free one; gone afterwards.

    `reporting` opens the display of the bring-up's progress, which ends before anything else is shown.
    """
    with tempfile.TemporaryDirectory(prefix="planvault-demo-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder)
        with reporting() as report:
            credentials = up(UpOptions(data_dir, port or free_port(LOOPBACK), keep_owner=True), report)
        try:
            yield credentials
        finally:
            down(data_dir)


def run(
    platform: OpenPlatform,
    *,
    console: Console | None = None,
    interactive: bool | None = None,
    shop: OpenShop = running_shop,
) -> int:
    """Play the whole story; the exit status is 0 only when every expected outcome was seen.

    `interactive=None`: questions are asked when standard input is a terminal, else answered by rule, aloud.
    """
    out = console or Console()
    asks = sys.stdin.isatty() if interactive is None else interactive
    started = time.monotonic()
    try:
        with shop() as service, platform() as credentials, _client(credentials) as api:
            return _Story(out, api, service, started, asks).play()
    except (PlanVaultError, ApiProblem, httpx.HTTPError) as error:
        out.print(Text.assemble(("The demo stopped. ", "bold red"), str(error)), soft_wrap=True)
        return 1


def _client(credentials: Credentials) -> ApiClient:
    return ApiClient(
        credentials.base_url,
        project_id=credentials.project_id,
        project_key=credentials.project_key,
        org_id=credentials.org_id,
        admin_token=credentials.admin_token,
    )


class _Story:
    """One telling. `started` is when the demo began, on the monotonic clock."""

    def __init__(self, console: Console, api: ApiClient, shop: RunningShop, started: float, asks: bool) -> None:
        self._console = console
        self._api = api
        self._shop = shop
        self._started = started
        self._asks = asks
        self._missing: list[str] = []
        self._declined = False

    def play(self) -> int:
        self._import()
        session = str(self._api.create_session({"tags": ["demo"]})["id"])
        self._api.put_secrets(session, {SECRET: self._shop.token})
        watcher = Watcher(self._api, session, self._answers(), EventPrinter(self._console))
        for number, scene in enumerate(SCENES):
            seen = self._scene(watcher, scene)
            if number == 0:
                self._introduce(seen)
        self._look_past_the_platform()
        self._look_for_the_secret(session)
        return self._verdict()

    def _import(self) -> None:
        """The shop's own document, over the Admin API, with progress; then the auth header for its owner's calls."""
        self._console.print(Rule("Import", align="left"))
        document = self._shop.read("/openapi.json")
        started = self._api.import_spec("shop", display_name="Shop", base_url=self._shop.base_url, spec=document)
        state = await_import(self._api, str(started["importId"]), self._console, timeout_s=IMPORT_S)
        if state.get("status") != "completed":
            raise PlanVaultError(f"The import is {state.get('status')}: {state.get('error') or 'it took too long'}")
        self._api.set_integration("shop", enabled=True, auth={"Authorization": f"Bearer {{{{secrets.{SECRET}}}}}"})
        tools = [tool for tool in self._api.tools() if str(tool.get("group")).partition("/")[0] == "shop"]
        self._console.print(f"  {len(tools)} tools")

    def _answers(self) -> Answers:
        if self._asks:
            return AskPerson(self._console)
        return AnswerByRule(self._console, {name: value for scene in SCENES for name, value in scene.slots.items()})

    def _scene(self, watcher: Watcher, scene: Scene) -> RunSeen:
        self._console.print(Rule(scene.title, align="left"))
        self._console.print(Text.assemble(("  > ", "bold"), (scene.prompt, "bold")))
        seen = watcher.prompt(scene.prompt)
        self._declined |= seen.declined
        for missing in judge(scene, seen):
            self._note_missing(f"{scene.prompt}: {missing}")
        return seen

    def _introduce(self, seen: RunSeen) -> None:
        """Said after the first prompt, when it is known: who plans, and how long the first plan took."""
        who = "the built-in planner, no model is configured" if seen.planner == "builtin" else f"model {seen.planner}"
        self._console.print(Text(f"  Planner: {who}.", style="bold"))
        if seen.to_plan_s is not None and seen.planned_at is not None:
            total = seen.planned_at - self._started
            self._console.print(
                f"  First plan after {seen.to_plan_s:.2f} s; {total:.1f} s after the demo began, bring-up included."
            )

    def _look_past_the_platform(self) -> None:
        """The shop itself says what happened to it."""
        if self._declined:
            return
        told = [(sent.customer_id, sent.channel) for sent in self._shop.notifications()]
        if told != [(4, "sms")]:
            self._note_missing(f"the shop should have sent one SMS to customer 4, it sent {told}")
        if (status := self._shop.read("/orders/1003").get("status")) != "cancelled":
            self._note_missing(f"order 1003 should be cancelled in the shop, it is {status}")

    def _look_for_the_secret(self, session: str) -> None:
        if self._shop.token in str(self._api.history(session)):
            self._note_missing("the shop's token should never be on record")

    def _note_missing(self, what: str) -> None:
        self._missing.append(what)
        self._console.print(Text(f"  expected: {what}", style="bold red"), soft_wrap=True)

    def _verdict(self) -> int:
        self._console.print(Rule("Result", align="left"))
        if self._missing:
            self._console.print(f"  {len(self._missing)} expected outcome(s) were not seen.", style="bold red")
            return 1
        took = time.monotonic() - self._started
        self._console.print(f"  All {len(SCENES)} prompts ended as they should, in {took:.1f} s.", style="bold green")
        return 0
