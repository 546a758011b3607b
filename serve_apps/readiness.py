"""Which parts a run needs, and whether each is there. Probes are bounded in time: a probe that hangs says no."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from math import inf
from time import monotonic

import structlog
from ray import serve

from planvault.crypto.providers import KeyProviders
from planvault.errors import PlanVaultError
from planvault.storage.redis_link import LOST, RedisLink
from serve_apps.schemas.health import Health, PartHealth

PROBE_S = 2.0
_PROVEN_S = 15.0
_NOT_PROVEN_S = 5.0  # a call that hangs holds one of the provider's few threads for up to 6 s
_log = structlog.get_logger(__name__)

Probe = Callable[[], Awaitable[PartHealth]]

_running: dict[int, asyncio.Task[Health]] = {}


async def check(probes: Mapping[str, Probe]) -> Health:
    """Who asks while all parts are being asked gets the same answer: anybody may, as often as they like."""
    running = _running.get(id(probes))
    if running is None:
        running = _running[id(probes)] = asyncio.create_task(_check(probes))
        running.add_done_callback(lambda _: _running.pop(id(probes)))
    return await asyncio.shield(running)


async def _check(probes: Mapping[str, Probe]) -> Health:
    found = await asyncio.gather(*(_bounded(probe) for probe in probes.values()))
    ready = all(part.ready or not part.needed for part in found)
    return Health(
        status="ready" if ready else "not_ready", ready=ready, parts=dict(zip(probes.keys(), found, strict=True))
    )


async def _bounded(probe: Probe) -> PartHealth:
    try:
        async with asyncio.timeout(PROBE_S):
            return await probe()
    except TimeoutError:
        return PartHealth(ready=False, detail=f"no answer within {PROBE_S:g} s")
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a part, the answer is that it is not ready
        return PartHealth(ready=False, detail=type(error).__name__)


def redis_probe(link: RedisLink) -> Probe:
    async def ask() -> PartHealth:
        try:
            await link.ping()
        except LOST as fault:
            detail = f"no answer ({type(fault).__name__}): Postgres does its part"
            return PartHealth(ready=False, needed=False, detail=detail)
        return PartHealth(ready=True, needed=False)

    return ask


def key_provider_probe(providers: KeyProviders, elapsed: Callable[[], float] = monotonic) -> Probe:
    """Whether each provider wraps and unwraps now; asked as seldom as the constants say, since some cost money.

    Needed until the one that wraps new organisations' keys has answered once: a replica with a wrong token must not
    take the place of one that works. From then on known organisations work without it.
    """
    asked_at = -inf
    answer = PartHealth(ready=False)
    answered = False

    async def ask() -> PartHealth:
        nonlocal asked_at, answer, answered
        if elapsed() - asked_at >= (_PROVEN_S if answer.ready else _NOT_PROVEN_S):
            names = sorted(providers.names)
            proven = await asyncio.gather(*(_proves(providers, name) for name in names))
            away = [name for name, proves in zip(names, proven, strict=True) if not proves]
            answered = answered or providers.primary not in away
            detail = f"no use of {', '.join(away)} (planvault doctor says why)" if away else ", ".join(names)
            asked_at, answer = elapsed(), PartHealth(ready=not away, needed=not answered, detail=detail)
        return answer

    return ask


async def _proves(providers: KeyProviders, name: str) -> bool:
    try:
        async with asyncio.timeout(PROBE_S * 0.75):  # one that hangs must not look like a part that is needed
            await providers.prove(name)
    # Also what nobody foresaw: it would go up as a part that is needed, and take every replica out of service at once.
    except Exception as fault:  # noqa: BLE001 - whatever it is, the provider is of no use now
        cause = str(fault) if isinstance(fault, PlanVaultError) else type(fault).__name__
        _log.warning("key_provider.away", provider=name, cause=cause)
        return False
    return True


def application_probes(applications: Mapping[str, str]) -> dict[str, Probe]:
    """Part name → Serve application name. Ready is what the Serve controller calls running."""

    def probe(application: str) -> Probe:
        async def ask() -> PartHealth:
            status = await asyncio.to_thread(serve.status)
            found = status.applications.get(application)
            if found is None:
                return PartHealth(ready=False, detail="not deployed")
            return PartHealth(ready=found.status == "RUNNING", detail=found.status.lower())

        return ask

    return {part: probe(application) for part, application in applications.items()}
