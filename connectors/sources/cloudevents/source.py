"""CloudEvents, and any other JSON by a mapping; docs/sources/cloudevents.md says what it means."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import Field
from typing_extensions import override

from connectors.sources.cloudevents import mapped, notice
from connectors.sources.cloudevents.envelope import event_of, events_in
from engine.core.alert import Alert, Occurrence
from engine.core.alert_mapping import AlertMapping, Failed
from engine.core.json_value import Json
from engine.core.still_firing import Confirmation, by_last_notice
from engine.errors import PayloadError
from engine.ports.body_signatures import GuardedSource, HmacConfig
from engine.ports.credentials import CredentialsConfig, Name
from engine.ports.mapping_file import MappingFile
from engine.ports.payload import LabelNames, WrongField, raw_bytes
from engine.ports.source import (
    NOBODY,
    PARSE_INLINE_BYTES,
    Parsed,
    Rejected,
    Sender,
)

KIND = "cloudevents"
# A mapping's expressions take some hundred microseconds an alert.
MAPPED_INLINE_BYTES = 2 * 1024
# What an application that reports its calls sends; its name stands for a service without a label.
LABELS = LabelNames(service=("service", "app"))


class CloudEventsConfig(CredentialsConfig):
    """Senders of CloudEvents, or of one other kind of JSON, which `mapping` explains.

    Any of the credentials lets a sender in. There is nobody to ask, so an alert's last notice
    counts for `last_notice_counts_s`.
    """

    name: Name = KIND
    hmac: HmacConfig | None = None
    mapping: MappingFile | None = None
    last_notice_counts_s: float = Field(default=300.0, gt=0)
    labels: LabelNames = LABELS


class CloudEventsSource(GuardedSource):
    """The Source port over one configuration."""

    def __init__(self, config: CloudEventsConfig) -> None:
        super().__init__(config.name, config, config.hmac)
        self._config = config

    @property
    @override
    def inline_bytes(self) -> int:
        return PARSE_INLINE_BYTES if self._config.mapping is None else MAPPED_INLINE_BYTES

    @override
    async def still_firing(self, occurrence: Occurrence, now: datetime) -> Confirmation:
        ttl = timedelta(seconds=self._config.last_notice_counts_s)
        return by_last_notice(occurrence, now, ttl)

    @override
    def parse(self, body: Json, received_at: datetime, sender: Sender = NOBODY) -> Parsed:
        """The alerts of one event, a batch, or of JSON that the mapping explains.

        An event is rejected alone, in the form in which it can be replayed. Raises PayloadError
        when the body holds no event and there is no mapping.
        """
        events = events_in(body, sender)
        if events is not None:
            found = [self._of_event(raw, received_at) for raw in events]
        elif self._config.mapping is not None:
            found = [self._of_mapping(self._config.mapping, body, received_at)]
            events = [body]
        else:
            raise PayloadError(
                "this is no CloudEvent: expected an object with `specversion` and `type`, or a"
                " `mapping` in quell.yaml that explains it"
            )
        is_batch = events is body
        alerts: list[Alert] = []
        rejected: list[Rejected] = []
        for index, (raw, (sound, wrong)) in enumerate(zip(events, found, strict=True)):
            alerts += sound
            if wrong is not None:
                where = f"[{index}].{wrong.field}".removesuffix(".") if is_batch else wrong.field
                place = index if is_batch else -1
                rejected.append(Rejected(place, where, wrong.problem, raw_bytes(raw)))
        return Parsed(alerts, rejected)

    def _of_event(self, raw: Json, received_at: datetime) -> "_Found":
        try:
            event = event_of(raw)
            if event["type"] == notice.TYPE:
                alert = notice.alert_of(event, self.name, self._config.labels, received_at)
                return [alert], None
            if self._config.mapping is None:
                told = f"{str(event['type'])[:80]!r} is not {notice.TYPE!r}, and no `mapping`"
                raise WrongField("type", f"{told} in quell.yaml explains it")
            return self._of_mapping(self._config.mapping, event, received_at)
        except WrongField as wrong:
            return [], wrong

    def _of_mapping(self, mapping: AlertMapping, body: Json, received_at: datetime) -> "_Found":
        """Its alerts, and the first that is none: the others are kept with it, and counted."""
        alerts: list[Alert] = []
        wrong: list[WrongField] = []
        for each in self._mapped(mapping, body, received_at):
            if isinstance(each, WrongField):
                wrong.append(each)
            else:
                alerts.append(each)
        if len(wrong) <= 1:
            return alerts, wrong[0] if wrong else None
        more = f"; {len(wrong) - 1} more of this body are none either"
        return alerts, WrongField(wrong[0].field, wrong[0].problem + more)

    def _mapped(
        self, mapping: AlertMapping, body: Json, received_at: datetime
    ) -> Iterator[Alert | WrongField]:
        for each in mapping.read(body, received_at):
            if isinstance(each, Failed):
                yield WrongField(each.field, each.problem)
                continue
            try:
                yield mapped.alert_of(each, self.name, self._config.labels, received_at)
            except WrongField as error:
                place = "" if each.index < 0 else f"for_each[{each.index}]."
                yield WrongField(f"{place}{error.field}", error.problem)


# The alerts of one event, and what is wrong with the rest of it.
_Found = tuple[list[Alert], WrongField | None]
