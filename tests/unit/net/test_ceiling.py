"""The operator's word stands above every organisation's policy."""

from ipaddress import ip_address

import httpx
import pytest
from pydantic import ValidationError

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.ceiling import EgressCeiling, ceiling_of
from planvault.net.client import GuardedHttp
from planvault.net.guard import check_address, check_url
from planvault.settings import Settings
from tests.unit.net.servers import ok, serving
from tests.unit.net.test_client import Names

EVERYTHING = EgressPolicy(allow_loopback=True, allow_private=True)
SHUT = EgressCeiling(allow_loopback=False, allow_private=False)


def test_by_default_no_organisation_can_open_what_lies_inside() -> None:
    assert ceiling_of(Settings()) == SHUT
    for text in ("127.0.0.1", "::1", "10.0.0.1", "::ffff:192.168.0.1", "fd00::1"):
        with pytest.raises(EgressDenied, match="lets no organisation reach"):
            check_address(ip_address(text), EVERYTHING, SHUT)
    check_address(ip_address("93.184.216.34"), EVERYTHING, SHUT)


def test_each_switch_lets_organisations_decide_and_decides_nothing_itself() -> None:
    inside = ip_address("10.0.0.1")
    lets = ceiling_of(Settings(egress_allow_private=True))
    check_address(inside, EVERYTHING, lets)
    with pytest.raises(EgressDenied, match="policy does not allow"):
        check_address(inside, EgressPolicy(), lets)
    with pytest.raises(EgressDenied, match="loopback"):
        check_address(ip_address("127.0.0.1"), EVERYTHING, lets)


def test_a_network_of_the_operators_is_shut_in_every_spelling() -> None:
    ceiling = ceiling_of(Settings(egress_denied="93.184.216.0/24, 2606:2800::/32"))
    for text in ("93.184.216.34", "::ffff:93.184.216.34", "64:ff9b::93.184.216.34", "2606:2800::1"):
        with pytest.raises(EgressDenied, match="keeps shut"):
            check_address(ip_address(text), EVERYTHING, ceiling)
    with pytest.raises(EgressDenied, match="keeps shut"):
        check_url(httpx.URL("http://93.184.216.34/"), EVERYTHING, ceiling)
    check_address(ip_address("93.184.217.1"), EVERYTHING, ceiling)


def test_what_is_no_network_is_refused_at_the_start() -> None:
    with pytest.raises(ValidationError, match="10\\.0\\.0\\.1/8"):
        Settings(egress_denied="10.0.0.1/8")


async def test_the_ceiling_holds_for_names_literals_and_a_librarys_transport() -> None:
    client = GuardedHttp(resolver=Names(inside_test=[["127.0.0.1"]]), ceiling=SHUT)
    async with serving(ok) as server:
        for host in ("inside.test", "127.0.0.1"):
            with pytest.raises(EgressDenied):
                async with client.stream("GET", server.url(host=host), policy=EVERYTHING):
                    pass
            async with httpx.AsyncClient(transport=client.transport(EVERYTHING), trust_env=False) as other:
                with pytest.raises(EgressDenied):
                    await other.get(server.url(host=host))
        assert server.connections == 0
    await client.aclose()


@pytest.mark.parametrize("port", [22, 25, 53, 6000, 6667])
def test_a_port_of_another_protocol_is_no_place_for_a_request(port: int) -> None:
    with pytest.raises(EgressDenied, match=f"Port {port}"):
        check_url(httpx.URL(f"http://example.com:{port}/"), EVERYTHING)
