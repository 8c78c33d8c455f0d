"""Why brokers refuse quell for good: aiokafka only says that none could be had."""

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

from connectors.streams.kafka.security import Tls
from engine.errors import TransientError

if TYPE_CHECKING:
    from connectors.streams.kafka.cluster import Cluster

# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL.
_WRONG_NAME = (62, 64)
# A broker that hangs would keep TLS's farewell open for half a minute.
CLOSE_S = 1.0


async def refusal(cluster: "Cluster") -> str:
    """Knock at each broker: its certificate's or our credentials' fault, or "" where there is none.

    Brokers that can't be reached tell nothing. The caller owns the deadline.
    """
    from aiokafka.conn import collect_hosts
    from aiokafka.errors import KafkaError

    try:
        settings = await cluster.client_settings()
    except TransientError as error:
        return str(error)
    addresses = [each[:2] for each in collect_hosts(settings.pop("bootstrap_servers"))]
    del settings["metadata_max_age_ms"]
    for address in addresses:  # grows by what the brokers say of each other
        host, port = address
        try:
            advertised = await _knock(host, port, settings)
        except (OSError, KafkaError) as error:
            if told := _told(error, cluster.config.security.tls):
                return f"{host}:{port} {told}"
        else:
            addresses += [each for each in advertised if each not in addresses]
    return ""


async def _knock(host: str, port: int, settings: dict[str, Any]) -> list[tuple[str, int]]:
    """Connect, log in, and ask where the brokers are."""
    from aiokafka.conn import AIOKafkaConnection, OAuthAuthenticator
    from aiokafka.protocol.metadata import MetadataRequest

    class Login(OAuthAuthenticator):  # type: ignore[misc]  # aiokafka has no types
        """As RFC 7628, 3.2.3 says; aiokafka takes a broker's error for its consent."""

        async def step(self, payload: bytes | None) -> tuple[bytes, bool] | None:
            answered: tuple[bytes, bool] | None = await super().step(payload)
            return (b"\x01", True) if answered is None and payload else answered

    class Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
        def authenticator_oauth(self) -> Login:
            return Login(sasl_oauth_token_provider=self._sasl_oauth_token_provider)

    connection = Connection(host, port, **settings)
    try:
        await connection.connect()
        brokers = (await connection.send(MetadataRequest([]))).brokers
        return [(broker[1], broker[2]) for broker in brokers]
    finally:
        closed = connection.close()
        if connection._protocol is not None:  # else there was no connection to end
            await asyncio.wait([closed], timeout=CLOSE_S)


def _told(error: Exception, tls: Tls | None) -> str:
    """What a failed connection tells and what to do; "" where trying again may help."""
    from aiokafka.errors import (
        AuthenticationFailedError,
        IllegalSaslStateError,
        KafkaConnectionError,
        SaslAuthenticationFailed,
        UnsupportedSaslMechanismError,
    )

    cause = error.__cause__ if isinstance(error, KafkaConnectionError) else error
    match cause:
        case ssl.SSLCertVerificationError():
            advice = (
                "use names of the certificate in bootstrap_servers and in the brokers' "
                "advertised.listeners"
                if cause.verify_code in _WRONG_NAME
                else "set security.tls.ca to the authority that signed it"
            )
            return f"shows a certificate that can't be trusted ({cause.verify_message}): {advice}"
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError() | ssl.SSLSyscallError():
            return ""  # the connection ended
        case ssl.SSLError():
            shown = "no certificate" if tls is None or tls.certificate is None else "ours"
            return (
                f"refuses TLS with {shown} ({cause.reason}): check its port, and "
                "security.tls.certificate and key"
            )
        case IllegalSaslStateError() | UnsupportedSaslMechanismError():
            return "doesn't offer the mechanism of security.sasl at this port: check both"
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            return f"can't be logged in to ({error}): check security.sasl"
        case _:
            return ""
