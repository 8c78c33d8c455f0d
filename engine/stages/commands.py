"""All that a person can order: checked, then journaled in the same transaction as its effect."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.core import events
from engine.core.access import may_decide, may_order
from engine.core.findings import nearest
from engine.core.guards import LONGEST_LOOK_BACK, Among, Guard, Lock, failed_in_a_row
from engine.core.ids import derived_id
from engine.core.incident import BY_HAND, Incident, correlation_key, incident_id
from engine.core.journal import NewEntry
from engine.core.json_value import Json
from engine.core.severity import Mode, ModeLimit
from engine.core.silences import Silence, check_matchers, silence_id
from engine.core.stops import Stop, StopScope, what_is_stopped
from engine.core.trigger import OrderedRun, run_by_hand
from engine.errors import ConflictError, DeniedError, NotFoundError, PermanentError
from engine.ports.answering import Answer, answer_question
from engine.ports.catalogs import ActiveCatalog
from engine.ports.clock import Clock
from engine.ports.commands import By, Decided, WantedSilence
from engine.ports.locking import all_locks
from engine.ports.recording import Author, open_incident, record
from engine.ports.rows import ApprovalRow, RunRow
from engine.ports.silencing import shorten
from engine.ports.store import Store, Tx
from engine.ports.undoing import call_off, way_back


@dataclass(frozen=True, slots=True)
class CommandStage:
    """The Commands port over the store.

    `stop_file` names the file that keeps everything stopped, "" while there is none.
    """

    store: Store
    clock: Clock
    catalogs: ActiveCatalog
    stop_file: Callable[[], str] = str

    async def decide(
        self,
        approval: str,
        decision: events.Decision,
        *,
        plan_hash: str,
        by: By,
        reason: str = "",
    ) -> Decided:
        """Answer a request for approval; the first answer stands, whoever gave it.

        Raises NotFoundError, DeniedError, and ConflictError when `plan_hash` isn't the hash of
        the plan that is asked about.
        """

        def work(tx: Tx) -> Decided:
            row = tx.approval(approval)
            if row is None:
                raise NotFoundError(f"there is no approval {approval!r}")
            may_decide(by.actor, by.roles, row.ask).demand()
            if plan_hash != row.plan_hash:
                raise ConflictError("the plan is not the one that was shown; look at it again")
            run = tx.run(row.run_id)
            if row.state == "pending" and run is not None and run.ended_at is not None:
                return Decided(row, f"The run ended already: {run.outcome}.")
            if row.state == "pending" and tx.now >= row.expires_at:
                return Decided(row, f"It expired at {row.expires_at:%H:%M:%S} UTC.")
            if decision == "expired":
                raise DeniedError("only the clock lets a request expire")
            decided = tx.decide_approval(row.id, decision, by.actor)
            if decided is None:
                stands = tx.approval(approval) or row
                return Decided(stands, f"Already {stands.state} by {stands.actor}.")
            self._journal_decision(tx, decided, decision, by, reason)
            return Decided(decided, f"{decision.capitalize()} by {by.actor}.", accepted=True)

        return await self.store.write(work)

    def _journal_decision(
        self, tx: Tx, row: ApprovalRow, decision: events.Decision, by: By, reason: str
    ) -> None:
        event = events.ApprovalDecided(
            run_id=row.run_id,
            approval_id=row.id,
            plan_hash=row.plan_hash,
            decision=decision,
            via=by.via,
            reason=reason,
        )
        record(tx, _incident(tx, row.incident_id), [event], self._author(by))
        tx.wake_task("run", row.run_id)

    async def run_playbook(
        self,
        playbook: str,
        parameters: Mapping[str, Json],
        *,
        by: By,
        reason: str = "",
        dry_run: bool = False,
    ) -> Incident:
        """Start a run by hand, which counts as approve, in an incident of its own."""
        may_order(by.actor, by.roles).demand()
        catalog = self.catalogs.active
        asked_at = self.clock.now()
        # Derived from the moment of the order, so that a store's second try is the same order.
        order_id = derived_id(BY_HAND, by.actor, playbook, asked_at.isoformat())
        order = OrderedRun(order_id, playbook, parameters, dry_run)

        def work(tx: Tx) -> Incident:
            key = correlation_key(BY_HAND, {"order": order_id})
            known = tx.incident(incident_id(key, order_id))
            if known is not None:
                return known
            opened, story = run_by_hand(order, tx.next_incident_number(), catalog)
            incident = open_incident(tx, opened, self._author(by))
            return record(tx, incident, story, self._author(by))

        return await self.store.write(work)

    async def acknowledge(self, incident: str, *, by: By, note: str = "") -> Incident:
        """Say: I see it. The first one counts for the time to acknowledge."""
        may_order(by.actor, by.roles).demand()
        event = events.IncidentAcknowledged(note=note)

        def work(tx: Tx) -> Incident:
            return record(tx, _incident(tx, incident), [event], self._author(by))

        return await self.store.write(work)

    async def judge(
        self, incident: str, verdict: Literal["right", "wrong"], *, by: By, reason: str = ""
    ) -> None:
        """Say whether an incident's run was right; the last word counts."""
        may_order(by.actor, by.roles).demand()

        def work(tx: Tx) -> None:
            found = tx.find_incidents(incident)
            if len(found) != 1:
                raise NotFoundError(f"there is no incident {incident!r}, or more than one")
            if not found[0].run_id:
                raise ConflictError(f"{found[0].name} has no run that could be right or wrong")
            event = events.RunJudged(run_id=found[0].run_id, verdict=verdict, reason=reason)
            record(tx, found[0], [event], self._author(by))

        await self.store.write(work)

    async def answer(
        self, run: str, choice: str, *, by: By, step: str = "", reason: str = ""
    ) -> None:
        """Answer a question of a run; the first answer stands."""
        answer = Answer(choice, by, step, reason)
        await self.store.write(
            lambda tx: answer_question(tx, _run(tx, run), answer, self._author(by))
        )

    async def cancel_run(self, run: str, *, by: By, reason: str = "") -> None:
        """End a run's plan: what is under way is signalled and settled, nothing new begins."""
        may_order(by.actor, by.roles).demand()

        def work(tx: Tx) -> None:
            row = _run(tx, run)
            if row.ended_at is not None:
                raise ConflictError(f"run {run!r} ended already: {row.outcome}")
            if row.phase == "cancelling":
                raise ConflictError(f"run {run!r} is being cancelled already")
            event = events.RunCancelled(run_id=row.id, reason=reason)
            record(tx, _incident(tx, row.incident_id), [event], self._author(by))
            tx.wake_task("run", row.id)

        await self.store.write(work)

    async def roll_back(self, run: str, *, by: By, reason: str = "") -> Incident:
        """Begin a run that takes an ended one back; its plan is shown, and asked for."""
        may_order(by.actor, by.roles).demand()

        def work(tx: Tx) -> Incident:
            row = _run(tx, run)
            incident = _incident(tx, row.incident_id)
            mode = ModeLimit(Mode.APPROVE, "a person's order")
            why = f"{by.actor} takes it back" + (f": {reason}" if reason else "")
            created = way_back(tx, incident, row.id, mode, why)
            return record(tx, incident, [created], self._author(by))

        return await self.store.write(work)

    async def keep(self, run: str, *, by: By, reason: str) -> Incident:
        """Call off a run's revert: its change stays, and is left to do."""
        may_order(by.actor, by.roles).demand()
        return await self.store.write(
            lambda tx: call_off(tx, _run(tx, run), reason, self._author(by))
        )

    async def stop(
        self, scope: StopScope, name: str = "", *, by: By, reason: str
    ) -> Sequence[Stop]:
        """Put a stop in force and have its runs end. Raises NotFoundError for an unknown name."""
        may_order(by.actor, by.roles).demand()
        event = events.StopOrdered(scope=scope, name=name, reason=reason, via=by.via)

        def work(tx: Tx) -> Sequence[Stop]:
            stop = Stop(scope, name, by.actor, reason, tx.now)
            if tx.order_stop(stop):
                runs = [run for run in tx.active_runs() if _covers(tx, stop, run)]
                if not runs:
                    self._demand_known(stop)
                self._journal_access(tx, event, by)
                for run in runs:
                    tx.wake_task("run", run.id)
            return tx.stops()

        return await self.store.write(work)

    async def resume(
        self, scope: StopScope, name: str = "", *, by: By, reason: str = ""
    ) -> Sequence[Stop]:
        """Lift a stop. Raises NotFoundError, and ConflictError while the stop file is there."""
        may_order(by.actor, by.roles).demand()
        event = events.StopLifted(scope=scope, name=name, reason=reason, via=by.via)
        file = self.stop_file() if scope == "all" else ""
        if file:
            raise ConflictError(
                f"everything stays stopped while there is {file!r}: remove it first"
            )

        def work(tx: Tx) -> Sequence[Stop]:
            if not tx.lift_stop(scope, name):
                stopped = ", ".join(stop.what for stop in tx.stops()) or "nothing"
                raise NotFoundError(
                    f"{what_is_stopped(scope, name)} isn't stopped; what is: {stopped}"
                )
            self._journal_access(tx, event, by)
            return tx.stops()

        return await self.store.write(work)

    async def silence(self, wanted: WantedSilence, *, by: By) -> Silence:
        """Silence what its matchers hold for. Raises PermanentError for what can't be one."""
        may_order(by.actor, by.roles).demand()
        check_matchers(wanted.matchers)
        if not wanted.comment.strip():
            raise PermanentError("a silence needs a comment: say why, for whoever finds it")

        def work(tx: Tx) -> Silence:
            starts_at = wanted.starts_at or tx.now
            if wanted.ends_at <= max(starts_at, tx.now):
                raise PermanentError(
                    f"it would end at {wanted.ends_at:%Y-%m-%d %H:%M:%S} UTC, before it begins"
                )
            silence = Silence(
                id=silence_id(by.actor, wanted.matchers, starts_at, wanted.origin),
                matchers=wanted.matchers,
                starts_at=starts_at,
                ends_at=wanted.ends_at,
                actor=by.actor,
                comment=wanted.comment,
                origin=wanted.origin,
            )
            if silence in tx.silences.find(silence.id):
                return silence  # imported once more, and the same
            tx.silences.put(silence)
            event = events.SilenceSet(
                silence_id=silence.id,
                matchers=silence.matchers,
                starts_at=silence.starts_at.isoformat(),
                ends_at=silence.ends_at.isoformat(),
                comment=silence.comment,
                origin=silence.origin,
                via=by.via,
            )
            self._journal_access(tx, event, by)
            return silence

        return await self.store.write(work)

    async def end_silence(self, silence: str, *, by: By, reason: str = "") -> Silence:
        """End one, by a prefix of its id; what it held back is decided now."""
        may_order(by.actor, by.roles).demand()

        def work(tx: Tx) -> Silence:
            found = tx.silences.find(silence)
            if len(found) != 1:
                told = "there is no" if not found else "more than one is a"
                raise NotFoundError(f"{told} silence {silence!r}; `quell silence list` has them")
            (known,) = found
            if known.ends_at <= tx.now:
                raise ConflictError(
                    f"silence {known.id[:8]} ended at {known.ends_at:%Y-%m-%d %H:%M:%S} UTC"
                )
            ended = replace(known, ends_at=tx.now)
            shorten(tx, ended)
            event = events.SilenceEnded(silence_id=known.id, reason=reason, via=by.via)
            self._journal_access(tx, event, by)
            return ended

        return await self.store.write(work)

    async def release_lock(self, target: str, *, by: By, reason: str = "") -> Sequence[Lock]:
        """Let go of what the ended run that keeps this target locked holds; what that was."""
        may_order(by.actor, by.roles).demand()

        def work(tx: Tx) -> Sequence[Lock]:
            locks = all_locks(tx)
            found = next((lock for lock in locks if lock.held.target == target), None)
            if found is None:
                locked = ", ".join(lock.held.target for lock in locks) or "nothing"
                raise NotFoundError(f"{target!r} isn't locked; what is: {locked}")
            if not found.kept:
                raise ConflictError(
                    f"the run of {found.held.incident} is at work on {target!r}; "
                    f"`quell cancel {found.held.incident}` ends it"
                )
            freed = [lock for lock in locks if lock.held.run_id == found.held.run_id]
            tx.release(found.held.run_id)
            event = events.LockReleased(
                targets=tuple(lock.held.target for lock in freed),
                run_id=found.held.run_id,
                incident_id=found.held.incident_id,
                reason=reason,
                via=by.via,
            )
            self._journal_access(tx, event, by)
            return freed

        return await self.store.write(work)

    async def try_again(
        self, playbook: str, target: str = "", *, by: By, reason: str = ""
    ) -> Sequence[str]:
        """Excuse the last runs of a playbook that failed in a row; the incidents of these."""
        may_order(by.actor, by.roles).demand()

        def work(tx: Tx) -> Sequence[str]:
            among: Among = (("playbook_id", playbook), *((("target", target),) if target else ()))
            guard = Guard("breaker", among, "failed", within=LONGEST_LOOK_BACK)
            # As intents do, so that a run which begins meanwhile counts what it should.
            tx.hold_guards([guard.key])
            ended = tx.counted(guard)
            failed, _ = failed_in_a_row(ended)
            if not failed:
                what = playbook + (f" on {target}" if target else "")
                raise NotFoundError(f"the last run of {what!r} did not fail; nothing to excuse")
            tx.excuse(failed)
            event = events.BreakerTried(
                playbook_id=playbook,
                target=target,
                run_ids=tuple(failed),
                reason=reason,
                via=by.via,
            )
            self._journal_access(tx, event, by)
            return [*dict.fromkeys(each.incident for each in ended if each.run_id in failed)]

        return await self.store.write(work)

    def _demand_known(self, stop: Stop) -> None:
        """A misspelt name would stop nothing, and its author would think otherwise."""
        catalog = self.catalogs.active
        known = {"rule": [rule.id for rule in catalog.rules], "playbook": [*catalog.playbooks]}
        names = known.get(stop.scope, [])
        # Without an engine there is no catalog to ask.
        if names and stop.name not in names:
            raise NotFoundError(f"there is no {stop.what}{nearest(stop.name, names)}")

    def _journal_access(self, tx: Tx, event: events.Event, by: By) -> None:
        tx.append("access", [NewEntry(event, tx.now, by.actor, self.catalogs.active.version)])

    def _author(self, by: By) -> Author:
        return Author(actor=by.actor, catalog=self.catalogs.active.version)


def _incident(tx: Tx, incident: str) -> Incident:
    found = tx.incident(incident)
    if found is None:
        raise NotFoundError(f"there is no incident {incident!r}")
    return found


def _run(tx: Tx, prefix: str) -> RunRow:
    """By a prefix of its id or its incident's, or by INC-12; active ones first."""
    incidents = tx.find_incidents(prefix)
    found = tx.find_runs(incidents[0].id if len(incidents) == 1 else prefix)
    active = [run for run in found if run.ended_at is None]
    if not found:
        raise NotFoundError(f"there is no run {prefix!r}; `quell incidents` lists what there is")
    if len(active) > 1:
        raise NotFoundError(f"run {prefix!r} isn't unique; give more of it")
    return (active or list(found))[0]


def _covers(tx: Tx, stop: Stop, run: RunRow) -> bool:
    incident = tx.incident(run.incident_id) if stop.scope == "rule" else None
    return stop.covers(incident.rule_id if incident else "", run.playbook_id)
