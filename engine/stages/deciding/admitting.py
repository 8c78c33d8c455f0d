"""Whether an occurrence acts by a rule now, or waits, and for what.

What is decided here is in engine.core.conditions; this reads and writes the rows that it is
decided over. An occurrence is only ever changed in its own partition: whoever frees others puts a
tick for each, and the pipeline asks again when that comes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from msgspec import structs

from engine.core.alert import Occurrence
from engine.core.catalog import Catalog
from engine.core.classify import Match, labels_of, value_of
from engine.core.conditions import (
    DEPENDANTS_SETTLE,
    Conditions,
    GroupState,
    Hold,
    HoldKind,
    Mark,
    absorber_key,
    enough,
    lately,
    marked,
)
from engine.core.incident import correlation_key
from engine.core.journal import to_us
from engine.core.rule import Rule
from engine.core.rule_documents import MAX_PARTS
from engine.ports.explaining import firing_cause
from engine.ports.rows import Task
from engine.ports.store import Tx

# What brings an occurrence here: the notice that opened it, a later one, or a tick.
Heard = Literal["opened", "repeat", "asked"]

# Another replica may open an incident at the same moment: then neither sees the other's.
LOOK_AGAIN = timedelta(seconds=10)
_AGAIN = "/again"
_AT_ONCE = timedelta(0)


@dataclass(frozen=True, slots=True)
class Admitting:
    """The conditions of one transaction's occurrences.

    `latest` gives the occurrence of a fingerprint as it is after this batch so far;
    `correlations` are the keys that are known already, by rule and group.
    """

    tx: Tx
    catalog: Catalog
    latest: Callable[[str], Occurrence | None]
    correlations: dict[tuple[object, ...], str]

    def correlation(self, match: Match) -> str:
        """The correlation key of what a rule makes of an alert."""
        group = (match.rule.id, *match.group.items())
        key = self.correlations.get(group)
        if key is None:
            key = self.correlations[group] = correlation_key(match.rule.id, match.group)
        return key

    def hold(self, match: Match, occurrence: Occurrence, at: datetime, heard: Heard) -> Hold | None:
        """Why the occurrence doesn't act by this rule at `at`; None: it does."""
        conditions = match.rule.conditions
        if not conditions.may_hold:
            return None
        if conditions.absent is not None:
            return self._beat(match, occurrence, at, heard)
        explained = self.explained(match, occurrence, at)
        if explained is not None:
            return explained
        # By the record's time: the store's may be anything by now.
        due = occurrence.alert.received_at + conditions.for_
        if at < due:
            return Hold(match.rule.id, "for", at, until=due)
        if conditions.window is None and conditions.all_of is None:
            return None
        live = self.tx.live_incident(self.correlation(match))
        if live is not None and live.status == "open":
            return None
        return self._counted(match, occurrence, at, heard)

    def explained(self, match: Match, occurrence: Occurrence, at: datetime) -> Hold | None:
        """Whether another alert that fires says why this one does: a cause, or an inhibition."""
        kinds = self.explaining(match, occurrence)
        if not kinds:
            return None
        found = firing_cause(self.tx, list(kinds), self.latest, occurrence.alert.fingerprint)
        if found is None:
            return None
        key, _ = found
        return Hold(match.rule.id, kinds[key], at, waits_for=key)

    def explaining(self, match: Match, occurrence: Occurrence) -> dict[str, HoldKind]:
        """The keys under which a firing alert would, and what it then is to this one."""
        conditions, alert = match.rule.conditions, occurrence.alert
        found: dict[str, HoldKind] = {}
        inhibition = conditions.inhibited_by
        if inhibition is not None:
            labels = labels_of(alert)
            # What is itself of the kind that inhibits would wait for its like for ever.
            if not inhibition.matches(labels):
                found[inhibition.key(lambda name: value_of(name, alert, labels))] = "inhibited"
        if conditions.absorbed and alert.service:
            needed = self.catalog.inventory.needs(alert.service)
            found.update({absorber_key(name): "absorbed" for name in sorted(needed)})
        return found

    def cause_of(self, hold: Hold) -> str:
        """The incident of what explains an occurrence, as people call it."""
        found = firing_cause(self.tx, [hold.waits_for], self.latest)
        ids = found[1].incident_ids if found is not None else ()
        incident = self.tx.incident(ids[0]) if ids else None
        return incident.name if incident is not None else "another incident"

    def _counted(
        self, match: Match, occurrence: Occurrence, at: datetime, heard: Heard
    ) -> Hold | None:
        """Whether it comes together with enough others; then those are asked again, too."""
        conditions, rule = match.rule.conditions, match.rule
        state = self._group(match)
        part = -1
        if conditions.all_of is not None:
            part = _part_of(conditions, occurrence)
            if heard != "asked":
                marks = marked(state.marks, Mark(str(part), at), MAX_PARTS)
                state = replace(state, marks=marks)
            here = {str(part), *map(str, self.tx.conditions.parts(state.id))}
            here |= lately(state.marks, conditions.all_of.within, at)
            acts = here >= set(map(str, range(len(conditions.all_of.parts))))
        else:
            state = self._marked(match, state, occurrence, at, heard)
            window = conditions.window
            acts = window is None or enough(state.marks, window.at_least, window.within)
        self.tx.conditions.put_group(state)
        if not acts:
            kind: HoldKind = "window" if conditions.all_of is None else "all_of"
            return Hold(rule.id, kind, at, waits_for=state.id, part=part)
        self.wake([state.id], but=occurrence.alert.fingerprint)
        return None

    def _marked(
        self, match: Match, state: GroupState, occurrence: Occurrence, at: datetime, heard: Heard
    ) -> GroupState:
        window, alert = match.rule.conditions.window, occurrence.alert
        if window is None or (window.of == "alerts" and heard == "asked"):
            return state
        of, when = occurrence.id, alert.received_at + match.rule.conditions.for_
        if window.of == "alerts":
            of, when = f"{alert.fingerprint}@{to_us(at)}", at
        if window.distinct:
            of = value_of(window.distinct, alert, labels_of(alert))
        return replace(state, marks=marked(state.marks, Mark(of, when), window.at_least))

    def _group(self, match: Match) -> GroupState:
        return self.tx.conditions.group(match.rule.conditions.group(self.correlation(match)))

    def _beat(self, match: Match, occurrence: Occurrence, at: datetime, heard: Heard) -> Hold:
        """A heartbeat: it acts by not coming."""
        state = self._group(match)
        if heard != "asked":
            self.expect(match.rule, match.group, state.id, at, occurrence.partition_key)
        return Hold(match.rule.id, "absent", at, waits_for=state.id)

    def expect(
        self, rule: Rule, values: Mapping[str, str], group: str, at: datetime, partition_key: str
    ) -> None:
        """The next heartbeat of this group, from `at` on."""
        absent, state = rule.conditions.absent, self.tx.conditions.group(group)
        if absent is None:
            return
        heard_at = at if state.heard_at is None else max(at, state.heard_at)
        after = replace(state, rule_id=rule.id, values=values, heard_at=heard_at)
        self.tx.conditions.put_group(after)
        self.expect_from(state.id, heard_at + absent.for_, partition_key)

    def expect_from(self, group: str, due: datetime, partition_key: str) -> None:
        """Ask at `due` whether a heartbeat came."""
        self.tx.put_task(timer_task("absence", group, due, partition_key))

    # What an occurrence does to others.

    def appears(self, occurrence: Occurrence) -> Occurrence:
        """It fires: it holds back what rules say it does."""
        rules = self.catalog.rules
        if not rules.inhibits:
            return occurrence
        alert = occurrence.alert
        labels = labels_of(alert)
        keys = rules.inhibitor_keys(labels, lambda name: value_of(name, alert, labels))
        return self._inhibiting(occurrence, keys)

    def causes(self, occurrence: Occurrence) -> Occurrence:
        """It acts by a rule for root causes: what needs its service or target waits for its end."""
        alert = occurrence.alert
        names = [name for name in (alert.service, alert.target) if name]
        after = self._inhibiting(occurrence, [absorber_key(name) for name in names])
        if after is not occurrence:
            # Once this is committed, so that those of the same batch are found, too.
            self._ask_dependants_at(occurrence, alert.fingerprint, self.tx.now)
        return after

    def ask_dependants(self, cause: Occurrence, subject: str, due_at: datetime) -> None:
        """Have every open alert of those that need its service or target asked again.

        And those of others that were under way at the same moment, a little later.
        """
        alert = cause.alert
        services = self.catalog.inventory.needed_by(filter(None, (alert.service, alert.target)))
        for each in self.tx.conditions.firing_of(sorted(services)):
            if each.fingerprint != alert.fingerprint:
                self._ask(each.fingerprint, each.partition_key, _AT_ONCE)
        if not subject.endswith(_AGAIN):
            self._ask_dependants_at(cause, subject + _AGAIN, due_at + LOOK_AGAIN)

    def _ask_dependants_at(self, cause: Occurrence, subject: str, due_at: datetime) -> None:
        self.tx.put_task(timer_task("absorption", subject, due_at, cause.partition_key))

    def _inhibiting(self, occurrence: Occurrence, keys: Iterable[str]) -> Occurrence:
        new = [key for key in keys if key not in occurrence.inhibits]
        if not new:
            return occurrence
        self.tx.conditions.inhibit(occurrence.alert.fingerprint, new)
        return structs.replace(occurrence, inhibits=(*occurrence.inhibits, *new))

    def ends(self, occurrence: Occurrence, at: datetime) -> Occurrence:
        """It no longer fires: it waits for nothing, and nothing waits for it."""
        fingerprint = occurrence.alert.fingerprint
        if occurrence.held_by:
            self._last_heard(fingerprint, at)
            self.tx.conditions.put_holds(fingerprint, "", ())
            self.tx.cancel_task("tick", f"hold_due/{fingerprint}")
            occurrence = structs.replace(occurrence, held_by=(), heard_by=())
        if occurrence.inhibits:
            self.tx.conditions.stop_inhibiting(fingerprint)
            gone = [key for key in occurrence.inhibits if not self.tx.conditions.inhibiting([key])]
            self.wake(gone, but=fingerprint)
        return occurrence

    def _last_heard(self, fingerprint: str, at: datetime) -> None:
        """An alert of all_of fired until now."""
        for hold in self.tx.conditions.holds_of(fingerprint):
            if hold.kind == "all_of":
                state = self.tx.conditions.group(hold.waits_for)
                marks = marked(state.marks, Mark(str(hold.part), at), MAX_PARTS)
                self.tx.conditions.put_group(replace(state, marks=marks))

    def wake(self, keys: Iterable[str], *, but: str) -> None:
        """Have those asked again that wait for one of these."""
        for key in keys:
            for waiting in self.tx.conditions.waiting(key):
                if waiting.fingerprint != but:
                    settle = DEPENDANTS_SETTLE if waiting.kind == "absorbed" else _AT_ONCE
                    self._ask(waiting.fingerprint, waiting.partition_key, settle)

    def keep(self, occurrence: Occurrence, held: list[Hold], known: Occurrence) -> None:
        """Note what an occurrence waits for now; `known` is as it was before."""
        fingerprint = occurrence.alert.fingerprint
        if held or known.held_by:
            self.tx.conditions.put_holds(fingerprint, occurrence.partition_key, held)
        due = min((hold.until for hold in held if hold.until is not None), default=None)
        if due is not None:
            self.tx.put_task(timer_task("hold_due", fingerprint, due, occurrence.partition_key))

    def _ask(self, fingerprint: str, partition_key: str, later: timedelta) -> None:
        self.tx.put_task(timer_task("hold_due", fingerprint, self.tx.now + later, partition_key))


def _part_of(conditions: Conditions, occurrence: Occurrence) -> int:
    part = conditions.all_of.part_of(labels_of(occurrence.alert)) if conditions.all_of else None
    return -1 if part is None else part


def timer_task(timer: str, subject: str, due: datetime, partition_key: str) -> Task:
    """What puts a tick into the partition of this key when it is due."""
    return Task(
        kind="tick",
        key=f"{timer}/{subject}",
        not_before=due,
        priority=3,
        payload={"partition_key": partition_key},
    )
