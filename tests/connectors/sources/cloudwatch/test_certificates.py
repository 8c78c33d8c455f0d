"""Which certificates prove that SNS signed, and which addresses are never even asked."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from connectors.sources.cloudwatch.arns import Topic, topic_of
from connectors.sources.cloudwatch.certificates import (
    FETCHES,
    KEPT_FOR,
    MAX_BYTES,
    MAX_KEPT,
    Certificates,
    WrongCertificateError,
    names_of,
    require_address,
)
from engine.errors import TransientError
from tests.connectors.sources.cloudwatch.case import roots
from tests.contracts.source_case import NOW
from tests.services.sns import (
    CERTIFICATE_ID,
    CERTIFICATE_URL,
    ISSUER_URL,
    TOPIC,
    Issued,
    PublishedFiles,
    published,
    root,
    sns,
)

HOST = "https://sns.eu-central-1.amazonaws.com"
PATH = f"/SimpleNotificationService-{CERTIFICATE_ID}.pem"

BAD_ADDRESSES = {
    "http": f"http://sns.eu-central-1.amazonaws.com{PATH}",
    "upper-case-scheme": f"HTTPS://sns.eu-central-1.amazonaws.com{PATH}",
    "ftp": f"ftp://sns.eu-central-1.amazonaws.com{PATH}",
    "file": f"file:///sns.eu-central-1.amazonaws.com{PATH}",
    "no-scheme": f"//sns.eu-central-1.amazonaws.com{PATH}",
    "s3-legacy-host": f"https://sns.s3-us-west-2.amazonaws.com{PATH}",
    "s3-bucket": f"https://sns.s3.amazonaws.com{PATH}",
    "other-service": f"https://sqs.eu-central-1.amazonaws.com{PATH}",
    "other-region": f"https://sns.us-east-1.amazonaws.com{PATH}",
    "region-that-is-none": f"https://sns.eu-central-99.amazonaws.com{PATH}",
    "other-partition": f"https://sns.eu-central-1.amazonaws.com.cn{PATH}",
    "longer-domain": f"https://sns.eu-central-1.amazonaws.com.evil.example{PATH}",
    "prefixed-domain": f"https://evil-sns.eu-central-1.amazonaws.com{PATH}",
    "look-alike": f"https://sns.eu-central-1.amaz0naws.com{PATH}",
    "idn": f"https://sns.eu-central-1.amazon\u0430ws.com{PATH}",
    "full-width-dot": f"https://sns.eu-central-1.amazonaws\uff0ecom{PATH}",
    "trailing-dot": f"https://sns.eu-central-1.amazonaws.com.{PATH}",
    "upper-case-host": f"https://SNS.eu-central-1.amazonaws.com{PATH}",
    "user": f"https://sns.eu-central-1.amazonaws.com@evil.example{PATH}",
    "user-before": f"https://me@sns.eu-central-1.amazonaws.com{PATH}",
    "user-and-password": f"https://a:b@sns.eu-central-1.amazonaws.com{PATH}",
    "backslash": f"https://evil.example\\@sns.eu-central-1.amazonaws.com{PATH}",
    "port": f"https://sns.eu-central-1.amazonaws.com:443{PATH}",
    "other-port": f"https://sns.eu-central-1.amazonaws.com:8443{PATH}",
    "metadata-service": f"https://169.254.169.254{PATH}",
    "loopback": f"https://127.0.0.1{PATH}",
    "query": f"{HOST}{PATH}?x=.pem",
    "fragment": f"{HOST}{PATH}#.pem",
    "parameters": f"{HOST}{PATH};x",
    "api-call": f"{HOST}/?Action=ConfirmSubscription",
    "traversal": f"{HOST}/../evil{PATH}",
    "encoded-slash": f"{HOST}/evil%2f..{PATH}",
    "doubled-slash": f"{HOST}/{PATH}",
    "other-file": f"{HOST}/evil.pem",
    "short-id": f"{HOST}/SimpleNotificationService-abc.pem",
    "no-hex": f"{HOST}/SimpleNotificationService-{'g' * 32}.pem",
    "line-break": f"{HOST}{PATH}\n",
    "space-before": f" {HOST}{PATH}",
    "nul": f"{HOST}{PATH}\0",
    "empty": "",
}


def topic(arn: str = TOPIC) -> Topic:
    found = topic_of(arn)
    assert found is not None
    return found


def keys(files: Mapping[str, bytes], **settings: Any) -> tuple[Certificates, PublishedFiles]:
    there = PublishedFiles(files)
    return Certificates(**{"roots": roots(), "fetch": there, **settings}), there


async def refused(files: Mapping[str, bytes], told: str, **settings: Any) -> None:
    certificates, _ = keys(files, **settings)
    with pytest.raises(WrongCertificateError, match=told):
        await certificates.key(CERTIFICATE_URL, topic(), NOW)


@pytest.mark.parametrize("url", BAD_ADDRESSES.values(), ids=BAD_ADDRESSES)
async def test_from_any_other_address_nothing_is_fetched(url: str) -> None:
    certificates, there = keys({url: sns().chain})
    with pytest.raises(WrongCertificateError, match="isn't https://sns"):
        await certificates.key(url, topic(), NOW)
    assert there.asked == []


async def test_the_key_is_that_of_the_certificate_and_is_fetched_once() -> None:
    certificates, there = keys({CERTIFICATE_URL: sns().chain})
    for _ in range(3):
        await certificates.key(CERTIFICATE_URL, topic(), NOW)
    key = await certificates.key(CERTIFICATE_URL, topic(), NOW)
    assert key.public_numbers() == sns().leaf.key.public_key().public_numbers()
    assert there.asked == [CERTIFICATE_URL]


async def test_a_certificate_is_not_used_past_its_end() -> None:
    end = NOW + timedelta(hours=2)
    leaf = sns().issuer.leaf(valid=(NOW - timedelta(days=1), end))
    certificates, there = keys({CERTIFICATE_URL: leaf.pem + sns().issuer.pem})
    await certificates.key(CERTIFICATE_URL, topic(), NOW)
    with pytest.raises(WrongCertificateError, match="is valid from"):
        await certificates.key(CERTIFICATE_URL, topic(), end)
    assert len(there.asked) == 2


async def test_a_kept_one_is_fetched_anew_after_a_day() -> None:
    certificates, there = keys({CERTIFICATE_URL: sns().chain})
    for at in (NOW, NOW + KEPT_FOR - timedelta(seconds=1), NOW + KEPT_FOR):
        await certificates.key(CERTIFICATE_URL, topic(), at)
    assert len(there.asked) == 2


async def test_a_leaf_alone_is_completed_by_the_issuer_that_amazon_publishes() -> None:
    leaf = sns().issuer.leaf(issuer_url=ISSUER_URL)
    certificates, there = keys({CERTIFICATE_URL: leaf.pem, ISSUER_URL: sns().issuer.der})
    await certificates.key(CERTIFICATE_URL, topic(), NOW)
    assert there.asked == [CERTIFICATE_URL, ISSUER_URL]
    assert there.bounds == {(5.0, 32 * 1024)}


@pytest.mark.parametrize(
    "url",
    [
        "http://crt.evil.example/r.cer",
        "http://amazontrust.com.evil.example/r.cer",
        "http://evilamazontrust.com/r.cer",
        "http://crt.r2m01.amazontrust.com:8080/r.cer",
        "http://169.254.169.254/latest/meta-data/",
        "ldap://crt.r2m01.amazontrust.com/r.cer",
    ],
)
async def test_an_issuer_is_fetched_from_amazon_s_authorities_alone(url: str) -> None:
    leaf = sns().issuer.leaf(issuer_url=url)
    certificates, there = keys({CERTIFICATE_URL: leaf.pem, url: sns().issuer.der})
    with pytest.raises(WrongCertificateError, match="no trusted authority"):
        await certificates.key(CERTIFICATE_URL, topic(), NOW)
    assert there.asked == [CERTIFICATE_URL]


@pytest.mark.parametrize("name", ["sns.amazonaws.com", "sns-signing.eu-central-1.amazonaws.com"])
async def test_it_is_made_out_to_sns_under_one_of_its_names(name: str) -> None:
    leaf = sns().issuer.leaf(name)
    certificates, _ = keys({CERTIFICATE_URL: leaf.pem + sns().issuer.pem})
    await certificates.key(CERTIFICATE_URL, topic(), NOW)


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        ("arn:aws-cn:sns:cn-north-1:123456789012:a", "sns-cn-north-1.amazonaws.com.cn"),
        ("arn:aws-us-gov:sns:us-gov-east-1:123456789012:a", "sns-us-gov-west-1.amazonaws.com"),
        (
            "arn:aws-eusc:sns:eusc-de-east-1:123456789012:a",
            "sns-signing.eusc-de-east-1.amazonaws.eu",
        ),
    ],
)
def test_other_partitions_have_names_of_their_own(arn: str, name: str) -> None:
    assert name in names_of(topic(arn))
    require_address(f"https://sns.{topic(arn).region}.{topic(arn).domain}{PATH}", topic(arn))


@pytest.mark.parametrize(
    "name",
    ["sqs.amazonaws.com", "sns.amazonaws.com.evil.example", "sns-signing.us-east-1.amazonaws.com"],
)
async def test_a_certificate_made_out_to_somebody_else_proves_nothing(name: str) -> None:
    leaf = sns().issuer.leaf(name)
    await refused({CERTIFICATE_URL: leaf.pem + sns().issuer.pem}, "no trusted authority made it")


async def test_an_untrusted_authority_proves_nothing() -> None:
    other = root("other root")
    await refused({CERTIFICATE_URL: other.leaf().pem + other.pem}, "no trusted authority")


async def test_who_has_a_certificate_may_not_issue_another() -> None:
    middle = sns().leaf
    forged = Issued(middle.certificate, middle.key).leaf()
    chain = forged.pem + middle.pem + sns().issuer.pem
    await refused({CERTIFICATE_URL: chain}, "no trusted authority")


@pytest.mark.parametrize(
    "valid",
    [
        (NOW - timedelta(days=2), NOW - timedelta(days=1)),
        (NOW + timedelta(days=1), NOW + timedelta(days=2)),
    ],
    ids=["expired", "not-yet"],
)
async def test_outside_of_its_time_it_proves_nothing(valid: tuple[datetime, datetime]) -> None:
    leaf = sns().issuer.leaf(valid=valid)
    await refused({CERTIFICATE_URL: leaf.pem + sns().issuer.pem}, "is valid from")


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"],
    ids=["nothing", "a-page", "no-certificate"],
)
async def test_what_is_no_certificate_proves_nothing(text: bytes) -> None:
    await refused({CERTIFICATE_URL: text}, "there is no certificate")


async def test_a_key_of_another_kind_proves_nothing() -> None:
    from cryptography import x509

    key = ec.generate_private_key(ec.SECP256R1())
    issuer = sns().issuer
    built = (
        x509.CertificateBuilder()
        .subject_name(sns().leaf.certificate.subject)
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
    )
    for extension in sns().leaf.certificate.extensions:
        if not isinstance(extension.value, x509.SubjectKeyIdentifier):
            built = built.add_extension(extension.value, critical=extension.critical)
    leaf = built.sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    await refused({CERTIFICATE_URL: leaf + issuer.pem}, "has no RSA key")


async def test_the_system_s_authorities_count_where_none_are_named() -> None:
    await refused({CERTIFICATE_URL: sns().chain}, "no trusted authority", roots=None)


async def test_what_cannot_be_fetched_now_may_come_again() -> None:
    certificates, there = keys({})
    with pytest.raises(TransientError, match="404"):
        await certificates.key(CERTIFICATE_URL, topic(), NOW)
    there.files = {CERTIFICATE_URL: sns().chain}
    await certificates.key(CERTIFICATE_URL, topic(), NOW)


def other_url(number: int) -> str:
    return f"{HOST}/SimpleNotificationService-{number:032x}.pem"


async def test_a_flood_of_addresses_is_asked_for_ten_times_a_minute() -> None:
    certificates, there = keys({})
    for number in range(1_000):
        with pytest.raises(TransientError):
            await certificates.key(other_url(number), topic(), NOW + timedelta(milliseconds=number))
    assert len(there.asked) == FETCHES
    with pytest.raises(TransientError, match="404"):
        await certificates.key(other_url(0), topic(), NOW + timedelta(minutes=2))


async def test_the_kept_ones_are_bounded_and_need_no_fetch_in_a_flood() -> None:
    certificates, there = keys({other_url(n): sns().chain for n in range(MAX_KEPT + 1)})
    for number in range(MAX_KEPT + 1):
        await certificates.key(other_url(number), topic(), NOW + timedelta(minutes=number))
    asked = len(there.asked)
    late = NOW + timedelta(minutes=MAX_KEPT)
    await certificates.key(other_url(1), topic(), late)
    assert len(there.asked) == asked
    await certificates.key(other_url(0), topic(), late)
    assert len(there.asked) == asked + 1


@dataclass
class Hanging:
    """Never answers for any but the files."""

    files: Mapping[str, bytes]

    async def __call__(self, url: str, *, timeout_s: float, max_bytes: int) -> bytes:
        if url not in self.files:
            await asyncio.Event().wait()
        return self.files[url]


async def test_a_kept_key_waits_for_nobody_s_fetch() -> None:
    certificates, _ = keys({}, fetch=Hanging({CERTIFICATE_URL: sns().chain}))
    await certificates.key(CERTIFICATE_URL, topic(), NOW)
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(certificates.key(other_url(1), topic(), NOW))
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            await certificates.key(CERTIFICATE_URL, topic(), NOW)
        slow.cancel()


async def test_a_mirror_is_asked_instead_and_proves_nothing_by_itself(tmp_path: Path) -> None:
    by_path = {PATH: sns().chain}
    with published(by_path) as mirror:
        trusted = sns().trusted(tmp_path)
        certificates = Certificates(trusted, mirror)
        await certificates.key(CERTIFICATE_URL, topic(), NOW)
        other = root("other root")
        by_path[PATH] = other.leaf().pem
        with pytest.raises(WrongCertificateError):
            await Certificates(trusted, mirror).key(CERTIFICATE_URL, topic(), NOW)
        by_path[PATH] = b"x" * (MAX_BYTES + 1)
        with pytest.raises(TransientError, match=f"more than {MAX_BYTES} bytes"):
            await Certificates(trusted, mirror).key(CERTIFICATE_URL, topic(), NOW)


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    asked: list[str] = []
    with (
        published({"/elsewhere.pem": sns().chain}, asked, {PATH: "/elsewhere.pem"}) as mirror,
        pytest.raises(TransientError, match="answered with status 302"),
    ):
        await Certificates(sns().trusted(tmp_path), mirror).key(CERTIFICATE_URL, topic(), NOW)
    assert asked == [PATH]
