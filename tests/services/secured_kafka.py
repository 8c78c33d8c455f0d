"""A Kafka broker with every lock that quell has a key for: TLS, mTLS, SCRAM, PLAIN, OAUTHBEARER."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.services.certificates import Authority, Certificate
from tests.services.kafka import Additions, KafkaBroker, Listener
from tests.services.process import free_port
from tests.services.token_issuer import AUDIENCE, ISSUER, TokenIssuer

HOST = "localhost"  # of the broker's certificate, which is made out to no other name
USER = "quell"
PASSWORD = "s3cret-of-quell"
CLIENT_SECRET = "s3cret+of/the=client"
IMPATIENT = "SCRAM-SHA-256"
TOPICS = "secured-"
"""What the topics and groups begin with that USER, in each of its forms, may use."""
_LOGIN = "org.apache.kafka.common.security"
_OAUTH = f"{_LOGIN}.oauthbearer"
# What docs/kafka.md says that quell needs; CREATE only where it is to make the topic.
TOPIC_OPERATIONS = ("Read", "Write", "Create")


@dataclass(frozen=True, slots=True)
class SecuredKafka:
    """The broker, and what opens it."""

    broker: KafkaBroker
    authority: Authority
    client: Certificate
    issuer: TokenIssuer
    tls: str
    """host:port for TLS alone."""
    mtls: str
    sasl: str
    astray: str
    """TLS whose clients are sent on to a name that the certificate doesn't have."""


def wrongly_named(address: str) -> str:
    """The same listener by a name that its certificate doesn't have."""
    return address.replace(HOST, "127.0.0.1")


def _settings(server: Certificate, authority: Authority, issuer: TokenIssuer) -> dict[str, object]:
    sasl = "listener.name.sasl"
    return {
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": server.both,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": authority.certificate,
        "listener.name.mtls.ssl.client.auth": "required",
        f"{sasl}.sasl.enabled.mechanisms": "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER",
        f"{sasl}.scram-sha-256.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
        f"{sasl}.scram-sha-512.sasl.jaas.config": f"{_LOGIN}.scram.ScramLoginModule required;",
        f"{sasl}.plain.sasl.jaas.config": (
            f'{_LOGIN}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        ),
        f"{sasl}.oauthbearer.sasl.jaas.config": f"{_OAUTH}.OAuthBearerLoginModule required;",
        f"{sasl}.oauthbearer.sasl.server.callback.handler.class": (
            f"{_OAUTH}.OAuthBearerValidatorCallbackHandler"
        ),
        f"{sasl}.oauthbearer.sasl.oauthbearer.jwks.endpoint.url": f"{issuer.url}/keys",
        f"{sasl}.oauthbearer.sasl.oauthbearer.expected.audience": AUDIENCE,
        f"{sasl}.oauthbearer.sasl.oauthbearer.expected.issuer": ISSUER,
        # Whoever logged in so is to do it again after a second, or its connection ends.
        f"{sasl}.{IMPATIENT.lower()}.connections.max.reauth.ms": 1000,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # whoever comes by the plain listener
    }


def _allow(broker: KafkaBroker) -> None:
    """Give USER what the documentation says, and nothing else."""
    command, prefixed = "org.apache.kafka.tools.AclCommand", ("--resource-pattern-type", "prefixed")
    who = [part for name in (USER, f"CN={USER}") for part in ("--allow-principal", f"User:{name}")]
    operations = [part for each in TOPIC_OPERATIONS for part in ("--operation", each)]
    broker.tool(command, "--add", *who, *operations, "--topic", TOPICS, *prefixed)
    broker.tool(command, "--add", *who, "--operation", "Read", "--group", TOPICS, *prefixed)


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    """One broker a test worker."""
    folder = tmp_path_factory.mktemp("secured-kafka")
    authority = Authority(folder / "authority")
    server = authority.issue("broker", [HOST])
    listeners = [
        Listener(name, protocol, f"{HOST}:{free_port()}")
        for name, protocol in (("TLS", "SSL"), ("MTLS", "SSL"), ("SASL", "SASL_SSL"))
    ]
    astray = f"{HOST}:{free_port()}"
    listeners.append(Listener("ASTRAY", "SSL", astray, wrongly_named(astray)))
    with TokenIssuer(USER, CLIENT_SECRET).serving() as issuer:
        scram = [
            part
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for part in ("--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]")
        ]
        additions = Additions(
            listeners,
            _settings(server, authority, issuer),
            [f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer.url}/keys"],
            scram,
        )
        broker = KafkaBroker(folder, additions)
        try:
            broker.start()
            _allow(broker)
            addresses = [listener.address for listener in listeners]
            yield SecuredKafka(broker, authority, authority.issue(USER), issuer, *addresses)
        finally:
            broker.kill()
            shutil.rmtree(folder / "data", ignore_errors=True)
