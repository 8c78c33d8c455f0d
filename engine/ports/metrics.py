"""Every metric that quell exports, on one page; names are stable, labels have few values.

`python -m engine.ports.metrics > docs/metrics.md` writes the page that users read.
"""

import sys
from collections.abc import Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.metrics import MetricWrapperBase

CONTENT_TYPE = CONTENT_TYPE_LATEST

# An answer is expected within milliseconds, and a sender gives up after some ten seconds.
_INTAKE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# From one batch of the pipeline to a step that restarts a model server.
_STAGE_BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 1800)


class Metrics:
    """All metrics, in a registry of their own, so that two engines in one process don't mix."""

    def __init__(self) -> None:
        # Otherwise each counter brings a second series with the time of its first increment.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's gap
        registry = self.registry = CollectorRegistry()
        self.build_info = Gauge(
            "quell_build_info", "Always 1; says which version runs", ["version"], registry=registry
        )
        self._declare_intake(registry)
        self._declare_flow(registry)
        self._declare_work(registry)
        self._declare_health(registry)

    def _declare_intake(self, registry: CollectorRegistry) -> None:
        self.intake_requests = Counter(
            "quell_intake_requests_total",
            "Requests to a source's address by the status that was answered",
            ["source", "code"],
            registry=registry,
        )
        self.intake_seconds = Histogram(
            "quell_intake_request_seconds",
            "Seconds from a request's headers to the answer, the durable append included",
            ["source"],
            buckets=_INTAKE_BUCKETS,
            registry=registry,
        )
        self.alerts_received = Counter(
            "quell_alerts_received_total",
            "Alerts that were understood and durably appended",
            ["source", "status"],
            registry=registry,
        )
        self.alerts_rejected = Counter(
            "quell_alerts_rejected_total",
            "Parts of bodies, or whole bodies, that could not be understood",
            ["source"],
            registry=registry,
        )
        self.alerts_truncated = Counter(
            "quell_alerts_truncated_total",
            "Alerts that a sender says it left out of its bodies",
            ["source"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "quell_dead_letters_total",
            "Rejected parts and bodies that were kept as dead letters",
            ["source"],
            registry=registry,
        )
        self.sender_requests = Counter(
            "quell_intake_sender_requests_total",
            "Requests of the senders that a source's settings name, by the status answered",
            ["source", "sender", "code"],
            registry=registry,
        )
        self.rate_limited = Counter(
            "quell_rate_limited_total",
            "Requests answered with 503 because their sender sent too many; (unknown): an address "
            "whose callers don't get in",
            ["source", "sender"],
            registry=registry,
        )
        self.intake_full = Counter(
            "quell_intake_full_total",
            "Bodies that were answered with 503 because the stream or the dead letters are full",
            ["source"],
            registry=registry,
        )

    def _declare_flow(self, registry: CollectorRegistry) -> None:
        self.dispositions = Counter(
            "quell_dispositions_total",
            "Records by what became of them: stale, repeat, resolved, unmatched, suppressed, new; "
            "skipped by a person",
            ["disposition"],
            registry=registry,
        )
        self.decided_ahead = Counter(
            "quell_decided_ahead_total",
            "Records that were decided on ahead of their turn, because a P1 stood far behind; "
            "they are among the dispositions",
            registry=registry,
        )
        self.balance_difference = Gauge(
            "quell_balance_difference_records",
            "Records minus dispositions minus those waiting: anything but 0 is a lost alert",
            registry=registry,
        )
        self.stream_lag = Gauge(
            "quell_stream_lag_records",
            "Records of a partition that are appended and not yet processed",
            ["partition"],
            registry=registry,
        )
        self.spooled = Gauge(
            "quell_spooled_records",
            "Records kept on this machine's disk until the stream is back",
            registry=registry,
        )
        self.dead_letters_kept = Gauge(
            "quell_dead_letters_kept",
            "Dead letters by whether their body is kept: yes, or no where there was no room for it",
            ["body"],
            registry=registry,
        )
        self.dead_letters_kept_bytes = Gauge(
            "quell_dead_letters_kept_bytes",
            "Bytes of the bodies of all dead letters",
            registry=registry,
        )
        self.incidents_opened = Counter(
            "quell_incidents_opened_total",
            "Incidents opened by severity",
            ["severity"],
            registry=registry,
        )
        self.runs_ended = Counter(
            "quell_runs_ended_total", "Runs by outcome", ["outcome"], registry=registry
        )
        self.attempts_ended = Counter(
            "quell_attempts_ended_total",
            "Attempts of changing steps by outcome",
            ["outcome"],
            registry=registry,
        )

    def _declare_work(self, registry: CollectorRegistry) -> None:
        self.stage_seconds = Histogram(
            "quell_stage_seconds",
            "Seconds that one pass of a stage took",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=registry,
        )
        self.tasks_waiting = Gauge(
            "quell_tasks_waiting",
            "Durable tasks that are not done, by kind",
            ["kind"],
            registry=registry,
        )
        self.task_failures = Counter(
            "quell_task_failures_total",
            "Executions of a durable task that ended in an error and are tried again",
            ["kind"],
            registry=registry,
        )
        self.published = Counter(
            "quell_published_total",
            "States of incidents for those who follow them elsewhere: published, or refused for "
            "good",
            ["outcome"],
            registry=registry,
        )
        self.checkpoints = Counter(
            "quell_checkpoints_total",
            "Checkpoints that were made over the journal",
            registry=registry,
        )
        self.checkpoint_copy_failures = Counter(
            "quell_checkpoint_copy_failures_total",
            "Times that a copy of the checkpoints could not be written",
            ["copy"],
            registry=registry,
        )
        self.retention_removed = Counter(
            "quell_retention_removed_total",
            "What was older than its retention: stream_records, dead_letters, occurrences, "
            "reservations",
            ["what"],
            registry=registry,
        )

    def _declare_health(self, registry: CollectorRegistry) -> None:
        self.certificate_expires = Gauge(
            "quell_tls_certificate_expires_timestamp_seconds",
            "When the certificate of the listen address expires, in seconds since 1970; 0: no TLS",
            registry=registry,
        )
        self.stalled = Gauge(
            "quell_stalled_seconds",
            "How long a part has stood still although work waits there; 0 while it moves",
            ["part"],
            registry=registry,
        )
        self.store_unwritable = Gauge(
            "quell_store_unwritable_seconds",
            "How long the store could not be written; 0 while it can",
            registry=registry,
        )
        self.catalog_refused = Gauge(
            "quell_catalog_refused",
            "1 while the rules and playbooks on disk have a mistake, and older ones are in force",
            registry=self.registry,
        )
        self.loop_lag = Gauge(
            "quell_event_loop_lag_seconds",
            "By how much the event loop was late at worst in the last half minute or more",
            registry=registry,
        )
        self.emergency_messages = Counter(
            "quell_emergency_messages_total",
            "Messages to the emergency address by what became of them: told, failed, unknown",
            ["outcome"],
            registry=registry,
        )
        self.faults = Counter(
            "quell_faults_total",
            "Unexpected errors, gaps in quell itself, by the part that met one: see its log",
            ["part"],
            registry=registry,
        )
        self.last_progress = Gauge(
            "quell_last_progress_timestamp_seconds",
            "When a part of the engine last got something done, in seconds since 1970",
            ["part"],
            registry=registry,
        )

    def text(self) -> bytes:
        """The answer of `/metrics`, of type CONTENT_TYPE."""
        return generate_latest(self.registry)


def page() -> str:
    """docs/metrics.md: every name with its type, labels and meaning."""
    rows = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels) or '-'} | {meaning} |"
        for name, kind, labels, meaning in _described(Metrics())
    ]
    return "\n".join(
        (
            "# Metrics",
            "",
            "`GET /metrics` in Prometheus's text format. Names and labels are stable. A histogram "
            "has the usual `_bucket`, `_sum` and `_count`.",
            "",
            "| name | type | labels | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
            "<!-- Generated: python -m engine.ports.metrics > docs/metrics.md -->",
            "",
        )
    )


def _described(metrics: Metrics) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            described = next(iter(metric.describe()))
            name = described.name + ("_total" if described.type == "counter" else "")
            yield name, described.type, metric._labelnames, described.documentation


if __name__ == "__main__":
    sys.stdout.write(page())
