"""What requests may leave for: named hosts, and no address that gives away this machine."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Address: TypeAlias = IPv4Address | IPv6Address

# Places that give credentials or reach into this machine, though some of them count as global or
# private: they are reached only where egress names the very address.
_GUARDED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # 0.0.0.0 reaches this machine
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local: the metadata service of AWS, Azure and Google
        "100.100.100.200/32",  # Alibaba's
        "168.63.129.16/32",  # Azure's wire server
        "192.0.0.0/24",  # Oracle's
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "fe80::/10",
        "fd00:ec2::/32",  # AWS, over IPv6
        "fd20:ce::/32",  # Google, over IPv6
        "ff00::/8",
    )
)
_NAT64 = ip_network("64:ff9b::/96")

_NAME = r"(\*\.)?[^*\s/@:\[\]]+(:\d{1,5})?"
_IPV6 = r"[0-9a-fA-F]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*|\[[0-9a-fA-F:.]+\](:\d{1,5})?"
Entry = Annotated[str, Field(pattern=f"^({_NAME}|{_IPV6})$")]


class EgressConfig(BaseModel):
    """What `http.request` may reach: `host`, `host:port` or `*.suffix`; nothing else.

    An address that reaches this machine, its network link or a cloud's metadata service is used
    only where it stands here itself, as an address, beside the name that leads to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow: tuple[Entry, ...] = ()

    def allows(self, host: str, port: int) -> bool:
        """Whether one of the entries covers a host (lower case, IPv6 without brackets)."""
        for entry in self.allow:
            wanted, wanted_port = _entry(entry)
            if wanted_port not in (None, port):
                continue
            if wanted == host or (wanted.startswith("*.") and host.endswith(wanted[1:])):
                return True
        return False


def is_guarded(address: Address) -> bool:
    """Whether an address reaches this machine, its link, a metadata service or nobody.

    IPv4 inside IPv6 (mapped, 6to4, Teredo, NAT64) counts as that IPv4 address.
    """
    inside: Address | None = None
    if isinstance(address, IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inside = IPv4Address(int(address) & 0xFFFFFFFF)
        elif address.teredo is not None:
            inside = address.teredo[1]
    if inside is not None:
        return is_guarded(inside)
    return any(_is_in(address, network) for network in _GUARDED)


def _is_in(address: Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network


def _entry(entry: str) -> tuple[str, int | None]:
    """Host and port of an egress entry; an IPv6 address with a port stands in brackets."""
    text = entry.lower()
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return host.rstrip("."), int(port) if port else None
