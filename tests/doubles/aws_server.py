"""CloudWatch's alarms, SNS's confirmations and STS's roles, as boto3 sees them on the wire.

Each request and each answer is checked against botocore's own model of the service. What moto does
as AWS does (SQS) isn't here; what it doesn't (contributors, LogAlarms, confirmations) is.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

import botocore.session
from botocore.validate import ParamValidator
from typing_extensions import override

KINDS = {
    "MetricAlarm": "MetricAlarms",
    "CompositeAlarm": "CompositeAlarms",
    "LogAlarm": "LogAlarms",
}
JSON = "application/x-amz-json-1.0"
MODELS = {"monitoring": "cloudwatch", "sns": "sns", "sts": "sts"}


@dataclass
class Failure(Exception):  # noqa: N818 - an answer
    status: int
    code: str
    message: str = "the double was told to"


@dataclass
class AwsServer:
    """One account in any number of regions.

    `alarms` by region, each with its kind; `contributors` by alarm name; `tokens` are those that
    confirm; `left_out` are names that a list which changed while it was read lacks; `failures` are
    answered first, one a request, by operation. `now` is AWS's clock.
    """

    url: str = ""
    page: int = 100
    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    alarms: dict[str, list[tuple[str, dict[str, Any]]]] = field(default_factory=dict)
    contributors: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=lambda: {"2336412f37"})
    confirmed: list[Mapping[str, str]] = field(default_factory=list)
    assumed: list[Mapping[str, str]] = field(default_factory=list)
    left_out: set[str] = field(default_factory=set)
    failures: dict[str, list[Failure]] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def put(self, alarm: Mapping[str, Any], kind: str = "MetricAlarm") -> dict[str, Any]:
        """Adds an alarm, in the place of one with its name, and gives it for changes."""
        region, name = alarm["AlarmArn"].split(":")[3], alarm["AlarmName"]
        there = [each for each in self.alarms.get(region, []) if each[1]["AlarmName"] != name]
        own = dict(alarm)
        self.alarms[region] = sorted([*there, (kind, own)], key=lambda each: each[1]["AlarmName"])
        return own

    def answer(self, service: str, region: str, operation: str, given: Any) -> Mapping[str, Any]:
        model = _model(service).operation_model(operation)
        _check(given, model.input_shape)
        self.asked.append((operation, given))
        if waiting := self.failures.get(operation):
            raise waiting.pop(0)
        match operation:
            case "DescribeAlarms":
                answer = self._describe(region, given)
            case "DescribeAlarmContributors":
                answer = self._contributors(region, given)
            case "ConfirmSubscription":
                answer = self._confirm(given)
            case "AssumeRole":
                answer = self._assume(given)
            case _:
                raise Failure(400, "UnknownOperationException", operation)
        _check(answer, model.output_shape)
        return answer

    def _describe(self, region: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        if "AlarmNames" in given and "AlarmNamePrefix" in given:
            raise Failure(
                400, "ValidationError", "AlarmNames and AlarmNamePrefix exclude each other"
            )
        # Without types there are only metric alarms.
        kinds = given.get("AlarmTypes") or ["MetricAlarm"]
        chosen = [
            (kind, alarm)
            for kind, alarm in self.alarms.get(region, [])
            if kind in kinds
            and alarm["AlarmName"] in given.get("AlarmNames", [alarm["AlarmName"]])
            and alarm["AlarmName"].startswith(given.get("AlarmNamePrefix", ""))
            and ("AlarmNames" in given or alarm["AlarmName"] not in self.left_out)
            and given.get("StateValue", alarm["StateValue"]) == alarm["StateValue"]
            and _acts(alarm, given.get("ActionPrefix", ""))
        ]
        first = int(given.get("NextToken", "0"))
        last = first + min(self.page, given.get("MaxRecords", 50))
        answer: dict[str, Any] = {name: [] for name in KINDS.values()}
        for kind, alarm in chosen[first:last]:
            answer[KINDS[kind]].append(alarm)
        return answer | ({"NextToken": str(last)} if last < len(chosen) else {})

    def _contributors(self, region: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        names = [alarm["AlarmName"] for _, alarm in self.alarms.get(region, [])]
        if given["AlarmName"] not in names:
            raise Failure(404, "ResourceNotFoundException", "there is no such alarm")
        if given["AlarmName"] not in self.contributors:
            raise Failure(400, "ValidationException", "it has no contributors")
        all_of_it = self.contributors[given["AlarmName"]]
        first = int(given.get("NextToken", "0"))
        last = first + self.page
        answer: dict[str, Any] = {"AlarmContributors": all_of_it[first:last]}
        return answer | ({"NextToken": str(last)} if last < len(all_of_it) else {})

    def _confirm(self, given: Mapping[str, str]) -> Mapping[str, Any]:
        if given["Token"] not in self.tokens:
            raise Failure(400, "InvalidParameter", "Invalid token")
        self.confirmed.append(given)
        return {"SubscriptionArn": f"{given['TopicArn']}:9f2b"}

    def _assume(self, given: Mapping[str, str]) -> Mapping[str, Any]:
        self.assumed.append(given)
        credentials = {
            "AccessKeyId": "ASIAOFTHEROLE0000000",
            "SecretAccessKey": "secret",
            "SessionToken": "session",
            "Expiration": "2046-01-01T00:00:00Z",
        }
        return {"Credentials": credentials}


@contextmanager
def aws_server() -> Iterator[AwsServer]:
    """The double on a loopback port."""
    double = AwsServer()
    turn = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            # Credential=KEY/DATE/REGION/SERVICE/aws4_request
            scope = self.headers["authorization"].partition("Credential=")[2].partition(",")[0]
            key, _, region, service, _ = scope.split("/")
            with turn:
                double.keys.append(key)
                if target := self.headers.get("x-amz-target"):
                    status, content, answer = _by_json(double, region, target, body)
                else:
                    status, content, answer = _by_query(double, service, region, body)
            self.send_response(status)
            self.send_header("content-type", content)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        @override
        def date_time_string(self, timestamp: float | None = None) -> str:
            return format_datetime(double.now, usegmt=True)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _by_json(double: AwsServer, region: str, target: str, body: bytes) -> tuple[int, str, bytes]:
    operation = target.rpartition(".")[2]
    status = 200
    try:
        answer: Any = double.answer("monitoring", region, operation, json.loads(body))
    except Failure as failure:
        status, answer = failure.status, {"__type": failure.code, "message": failure.message}
    return status, JSON, json.dumps(answer, default=datetime.timestamp).encode()


def _by_query(double: AwsServer, service: str, region: str, body: bytes) -> tuple[int, str, bytes]:
    given = dict(parse_qsl(body.decode()))
    operation = given.pop("Action")
    given.pop("Version")
    typed = {name: int(text) if name == "DurationSeconds" else text for name, text in given.items()}
    try:
        answer = double.answer(service, region, operation, typed)
    except Failure as failure:
        text = (
            f"<ErrorResponse><Error><Code>{failure.code}</Code>"
            f"<Message>{escape(failure.message)}</Message></Error></ErrorResponse>"
        )
        return failure.status, "text/xml", text.encode()
    text = _xml({f"{operation}Response": {f"{operation}Result": answer}})
    return 200, "text/xml", text.encode()


def _xml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{name}>{_xml(each)}</{name}>" for name, each in value.items())
    return escape(str(value))


def _acts(alarm: Mapping[str, Any], prefix: str) -> bool:
    actions = [each for name in ("AlarmActions", "OKActions") for each in alarm.get(name, [])]
    return not prefix or any(each.startswith(prefix) for each in actions)


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(MODELS[service])


def _check(value: Any, shape: Any) -> None:
    """Unknown members count as errors, too."""
    report = ParamValidator().validate(value, shape)
    assert not report.has_errors(), report.generate_report()
