"""What the operator leaves to organisations: the most that any egress policy can open, whoever wrote it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

from planvault.settings import Settings

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class EgressCeiling:
    """`denied`: networks that stay shut although they look public, e.g. the platform's own."""

    allow_loopback: bool = True
    allow_private: bool = True
    denied: tuple[Network, ...] = ()


OPEN = EgressCeiling()
"""Leaves everything to the policy: for processes in which the operator's own tests run."""


def ceiling_of(settings: Settings) -> EgressCeiling:
    return EgressCeiling(
        allow_loopback=settings.egress_allow_loopback,
        allow_private=settings.egress_allow_private,
        denied=tuple(ip_network(text.strip()) for text in settings.egress_denied.split(",") if text.strip()),
    )
