"""What happens to the installation as a whole (chains `system` and `access`)."""

from collections.abc import Mapping
from typing import Literal

from engine.core.events.event import Brief, Event, Title


class StopOrdered(Event):
    """From here nothing that this covers may change anything (chain `access`).

    `name` is the rule's or playbook's id, "" for all.
    """

    KIND = "stop.ordered@1"
    scope: Literal["all", "rule", "playbook"]
    name: str
    reason: Brief
    via: str


class StopLifted(Event):
    """A stop is over: new runs may change things again (chain `access`)."""

    KIND = "stop.lifted@1"
    scope: Literal["all", "rule", "playbook"]
    name: str
    reason: Brief
    via: str


class StormBraked(Event):
    """From here no run acts by itself, until a person lifts the brake (chain `system`)."""

    KIND = "storm.braked@1"
    reason: Brief


class BrakeLifted(Event):
    """Runs may act by themselves again (chain `access`)."""

    KIND = "brake.lifted@1"
    reason: Brief
    via: str


class SilenceSet(Event):
    """From `starts_at` to `ends_at` alerts that match wait; both RFC 3339 (chain `access`)."""

    KIND = "silence.set@1"
    silence_id: str
    matchers: tuple[str, ...]
    starts_at: str
    ends_at: str
    comment: Brief
    origin: str = ""
    via: str


class SilenceEnded(Event):
    """A silence is over before its time (chain `access`)."""

    KIND = "silence.ended@1"
    silence_id: str
    reason: Brief
    via: str


class LockReleased(Event):
    """A person let go of the targets that an ended run had kept locked (chain `access`)."""

    KIND = "lock.released@1"
    targets: tuple[str, ...]
    run_id: str
    incident_id: str
    reason: str
    via: str


class BreakerTried(Event):
    """A person lets one more run try after these had failed in a row (chain `access`)."""

    KIND = "breaker.tried@1"
    playbook_id: str
    target: str
    run_ids: tuple[str, ...]
    reason: str
    via: str


class ChangeTold(Event):
    """Somebody other than a run changed these targets, and services as a whole (chain `access`).

    `what` says what that was. It was over when it was told, by the entry's actor.
    """

    KIND = "change.told@1"
    what: Title
    targets: tuple[str, ...]
    services: tuple[str, ...]
    reason: Brief
    via: str


class CatalogActivated(Event):
    """From here decisions are made with this catalog version (chain `system`)."""

    KIND = "catalog.activated@1"
    version: str
    files: Mapping[str, str]


class ModesRaised(Event):
    """A catalog lets more happen with less of a person, and waits for a second one (`system`).

    Who activated it is the entry's actor. `modes` is the hash of the text that says how far
    everything would go, `raised` what went further, in words.
    """

    KIND = "modes.raised@1"
    version: str
    modes: str
    raised: tuple[Brief, ...]


class ModesAccepted(Event):
    """From here everything may go as far as the text of this hash says (chain `system`).

    `raised` is what a second person, the entry's actor, has confirmed; empty where nothing was
    raised.
    """

    KIND = "modes.accepted@1"
    version: str
    modes: str
    raised: tuple[Brief, ...] = ()
    reason: Brief = ""
    via: str = ""


class CheckpointSigned(Event):
    """The heads (chain, seq, entry hash) of the chains that grew since the checkpoint before it.

    On chain `system`, numbered from 1; `previous` is the hash of the one before, and `at` RFC 3339.
    `key_id` and `signature` (base64) are "" where the installation has no signing key.
    """

    KIND = "checkpoint.signed@1"
    number: int
    previous: str
    at: str
    heads: tuple[tuple[str, int, str], ...]
    root: str
    key_id: str = ""
    signature: str = ""


class PositionSet(Event):
    """A person sent a stopped partition of the stream on (chain `access`).

    `stopped` is why it stood still at `position` (None: it had none in this log). `passed_over`
    records were never processed.
    """

    KIND = "position.set@1"
    log: str
    partition: int
    position: int | None
    to: int
    passed_over: int
    stopped: str
    reason: str
    via: str


class DeadLetterReplayed(Event):
    """A person had a kept body or record taken in again, as `alerts` alerts (chain `access`)."""

    KIND = "deadletter.replayed@1"
    letter_id: str
    source: str
    alerts: int
    via: str
