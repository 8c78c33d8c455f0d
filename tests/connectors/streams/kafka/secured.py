"""Settings that open the secured broker, to be broken one at a time."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from connectors.streams.kafka import KafkaConfig
from tests.services.secured_kafka import CLIENT_SECRET, PASSWORD, TOPICS, USER, SecuredKafka

WAYS = ("tls", "mtls", "SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN", "OAUTHBEARER")


def security(kafka: SecuredKafka, way: str) -> dict[str, Any]:
    """The section `security` for one of WAYS."""
    tls: dict[str, Any] = {"ca": kafka.authority.certificate}
    match way:
        case "tls":
            return {"tls": tls}
        case "mtls":
            client = {"certificate": kafka.client.certificate, "key": kafka.client.key}
            return {"tls": tls | client}
        case "OAUTHBEARER":
            sasl = {
                "token_url": f"{kafka.issuer.url}/token",
                "client_id": USER,
                "client_secret": CLIENT_SECRET,
            }
        case _:
            sasl = {"user": USER, "password": PASSWORD}
    return {"tls": tls, "sasl": {"mechanism": way} | sasl}


def address(kafka: SecuredKafka, way: str) -> str:
    return {"tls": kafka.tls, "mtls": kafka.mtls}.get(way, kafka.sasl)


def config(kafka: SecuredKafka, way: str, **changes: Any) -> KafkaConfig:
    """For one of WAYS; each has a topic and a group of its own."""
    name = f"{TOPICS}{uuid4().hex}."
    defaults = {
        "bootstrap_servers": (address(kafka, way),),
        "security": security(kafka, way),
        "topic_prefix": name,
        "group_id": name,
        "partitions": 2,
        "replication_factor": 1,
        "deadline_s": 20,
    }
    return KafkaConfig(**(defaults | changes))


def changed(section: Mapping[str, Any], part: str, **changes: Any) -> dict[str, Any]:
    """`section` with other values in one of its parts."""
    return {**section, part: {**section[part], **changes}}
