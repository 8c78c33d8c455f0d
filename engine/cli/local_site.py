"""A data folder without a running engine: its journal can be read, and requests decided."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Literal, TypeVar

from engine.app import local_actor, open_deciding, open_reading, open_repositioning, open_switching
from engine.core import events
from engine.core.positions import Destination
from engine.core.stops import StopScope
from engine.errors import TransientError
from engine.gateway.answers import (
    approval_answer,
    audit_answer,
    balance_answer,
    dead_letter_content,
    dead_letter_page,
    decision_answer,
    incident_answer,
    incident_story,
    locks_answer,
    positions_answer,
    reposition_answer,
    silence_answer,
    silences_answer,
    stops_answer,
    trust_answer,
    waiting_answer,
)
from engine.ports.api import (
    ApprovalAnswer,
    AuditAnswer,
    BalanceAnswer,
    DeadLetterContent,
    DeadLetterPage,
    DecisionAnswer,
    IncidentAnswer,
    IncidentPage,
    IncidentStory,
    LocksAnswer,
    PositionsAnswer,
    ReplayAnswer,
    RepositionAnswer,
    SilenceAnswer,
    SilenceOrder,
    SilencesAnswer,
    StopsAnswer,
)
from engine.ports.brake_api import BrakeAnswer, brake_answer
from engine.ports.breaker_api import TryAnswer
from engine.ports.change_api import ChangeAnswer, ChangeOrder
from engine.ports.commands import By, WantedSilence
from engine.ports.raises_api import RaisesAnswer, raises_answer
from engine.ports.rows import IncidentFilter
from engine.ports.rules_api import TrustAnswer, WaitingAnswer
from engine.stages.commands import CommandStage
from engine.stages.queries import QueryStage

T = TypeVar("T")


class LocalSite:
    """Answers like `QuellClient`, from the files of one folder."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def incidents(
        self, *, status: str = "", severity: str = "", service: str = "", limit: int = 50
    ) -> IncidentPage:
        """Incidents, newest first."""
        # One more tells whether there is another page.
        which = IncidentFilter(status=status, severity=severity, service=service, limit=limit + 1)

        async def ask(queries: QueryStage) -> IncidentPage:
            found = await queries.incidents(which)
            page = tuple(incident_answer(each) for each in found[:limit])
            cursor = str(page[-1].number) if len(found) > limit else None
            return IncidentPage(incidents=page, next_cursor=cursor)

        return self._ask(ask)

    def incident(self, prefix: str, *, cursor: str = "") -> IncidentStory:
        """One incident with a page of its timeline."""

        async def ask(queries: QueryStage) -> IncidentStory:
            incident = await queries.incident(prefix)
            page = await queries.timeline(incident.id, after_seq=int(cursor or 0))
            return incident_story(incident, page)

        return self._ask(ask)

    def approval(self, prefix: str) -> ApprovalAnswer:
        """One request for approval."""

        async def ask(queries: QueryStage) -> ApprovalAnswer:
            return approval_answer(await queries.approval(prefix))

        return self._ask(ask)

    def balance(self) -> BalanceAnswer:
        """Every alert accounted for."""

        async def ask(queries: QueryStage) -> BalanceAnswer:
            return balance_answer(await queries.balance())

        return self._ask(ask, of_stream=True)

    def verify_audit(self) -> AuditAnswer:
        """Check every chain of the journal."""

        async def ask(queries: QueryStage) -> AuditAnswer:
            return audit_answer(await queries.verify_audit())

        return self._ask(ask)

    def export_audit(self, take: Callable[[bytes], object]) -> None:
        """The whole journal, handed over line by line."""

        async def ask(queries: QueryStage) -> None:
            async for line in queries.export_audit():
                take(line)

        self._ask(ask)

    def dead_letters(
        self, *, waiting: bool = False, limit: int = 50, cursor: str = ""
    ) -> DeadLetterPage:
        """What couldn't be understood, last seen first."""

        async def ask(queries: QueryStage) -> DeadLetterPage:
            found = await queries.dead_letters(limit + 1, waiting=waiting, after=cursor)
            return dead_letter_page(found, limit)

        return self._ask(ask)

    def dead_letter(self, prefix: str) -> DeadLetterContent:
        """One dead letter with what it holds."""

        async def ask(queries: QueryStage) -> DeadLetterContent:
            return dead_letter_content(await queries.dead_letter(prefix))

        return self._ask(ask)

    def replay_dead_letter(self, letter: str) -> ReplayAnswer:
        """Always refused: only an engine knows its sources and has the stream."""
        raise TransientError(
            f"no engine runs on {str(self._data)!r} that could take {letter!r} in; "
            "start one with `quell up`"
        )

    def decide(
        self,
        approval: str,
        decision: Literal["approve", "reject"],
        *,
        plan_hash: str,
        reason: str = "",
    ) -> DecisionAnswer:
        """Approve or reject; the run goes on when an engine starts."""

        decided: events.Decision = "approved" if decision == "approve" else "rejected"
        return decision_answer(
            self._tell(
                lambda commands, by: commands.decide(
                    approval, decided, plan_hash=plan_hash, by=by, reason=reason
                )
            )
        )

    def cancel_run(self, run: str, *, reason: str = "") -> None:
        """End a run's plan; it ends when an engine starts."""
        self._tell(lambda commands, by: commands.cancel_run(run, by=by, reason=reason))

    def keep(self, run: str, *, reason: str) -> IncidentAnswer:
        """Let stay what a run changed for the moment."""
        kept = self._tell(lambda commands, by: commands.keep(run, by=by, reason=reason))
        return incident_answer(kept)

    def answer(self, run: str, answer: str, *, step: str = "", reason: str = "") -> None:
        """Answer a question of a run, which goes on when an engine starts."""
        self._tell(
            lambda commands, by: commands.answer(run, answer, by=by, step=step, reason=reason)
        )

    def stops(self) -> StopsAnswer:
        """What may change nothing now, and on whose order."""

        async def ask(queries: QueryStage) -> StopsAnswer:
            return stops_answer(await queries.stops())

        return self._ask(ask)

    def stop(self, scope: StopScope, name: str = "", *, reason: str) -> StopsAnswer:
        """Let nothing that this covers change anything once an engine starts."""
        return stops_answer(
            self._tell(lambda commands, by: commands.stop(scope, name, by=by, reason=reason))
        )

    def resume(self, scope: StopScope, name: str = "", *, reason: str = "") -> StopsAnswer:
        """Lift a stop."""
        return stops_answer(
            self._tell(lambda commands, by: commands.resume(scope, name, by=by, reason=reason))
        )

    def trust(self) -> TrustAnswer:
        """How far each rule has earned trust, by environment."""

        async def ask(queries: QueryStage) -> TrustAnswer:
            return trust_answer(await queries.trust())

        return self._ask(ask)

    def judge(self, incident: str, verdict: Literal["right", "wrong"], *, reason: str = "") -> None:
        """Say whether an incident's run was the right thing."""
        self._tell(lambda commands, by: commands.judge(incident, verdict, by=by, reason=reason))

    def waiting(self, limit: int = 50) -> WaitingAnswer:
        """Alerts that fire and open nothing yet, and what they wait for."""

        async def ask(queries: QueryStage) -> WaitingAnswer:
            return waiting_answer(await queries.waiting(limit))

        return self._ask(ask)

    def silences(self) -> SilencesAnswer:
        """What people silenced, by when it ends."""

        async def ask(queries: QueryStage) -> SilencesAnswer:
            return silences_answer(await queries.silences())

        return self._ask(ask)

    def silence(self, order: SilenceOrder) -> SilenceAnswer:
        """Silence alerts for some time."""
        wanted = WantedSilence(**order.model_dump())
        return silence_answer(self._tell(lambda commands, by: commands.silence(wanted, by=by)))

    def end_silence(self, silence: str, *, reason: str = "") -> SilenceAnswer:
        """End a silence before its time; what it held back is decided once an engine starts."""
        return silence_answer(
            self._tell(lambda commands, by: commands.end_silence(silence, by=by, reason=reason))
        )

    def locks(self) -> LocksAnswer:
        """Every target that a run keeps others from changing."""

        async def ask(queries: QueryStage) -> LocksAnswer:
            return locks_answer(await queries.locks())

        return self._ask(ask)

    def release_lock(self, target: str, *, reason: str = "") -> LocksAnswer:
        """Let go of what the ended run that keeps this target locked holds."""
        return locks_answer(
            self._tell(lambda commands, by: commands.release_lock(target, by=by, reason=reason))
        )

    def try_again(self, playbook: str, target: str = "", *, reason: str = "") -> TryAnswer:
        """Let one more run of a playbook try, after others failed in a row."""
        excused = self._tell(
            lambda commands, by: commands.try_again(playbook, target, by=by, reason=reason)
        )
        return TryAnswer(playbook=playbook, excused=tuple(excused))

    def brake(self) -> BrakeAnswer:
        """Whether a storm keeps everything from acting by itself."""

        async def ask(queries: QueryStage) -> BrakeAnswer:
            return brake_answer(await queries.brake())

        return self._ask(ask)

    def lift_brake(self, *, reason: str = "") -> BrakeAnswer:
        """Let `auto` act again, once an engine starts; what was on."""

        async def tell() -> BrakeAnswer:
            async with open_switching(self._data) as switches:
                by = local_actor("cli")
                return brake_answer(await switches.lift_brake(by=by, reason=reason))

        return asyncio.run(tell())

    def raises(self) -> RaisesAnswer:
        """What waits for a second person."""

        async def ask(queries: QueryStage) -> RaisesAnswer:
            return raises_answer(await queries.raises())

        return self._ask(ask)

    def confirm_raises(self, version: str, *, reason: str = "") -> None:
        """Let everything go as far as this catalog version says, once an engine starts."""

        async def tell() -> None:
            async with open_switching(self._data) as switches:
                await switches.confirm_raises(version, by=local_actor("cli"), reason=reason)

        asyncio.run(tell())

    def positions(self) -> PositionsAnswer:
        """Where each partition of the stream in this folder goes on, and why one can't."""

        async def ask(queries: QueryStage) -> PositionsAnswer:
            return positions_answer(await queries.positions())

        return self._ask(ask, of_stream=True)

    def set_position(self, partition: int, to: Destination, *, reason: str) -> RepositionAnswer:
        """Send a stopped partition on, once an engine starts."""

        async def tell() -> RepositionAnswer:
            async with open_repositioning(self._data) as repositions:
                by = local_actor("cli")
                return reposition_answer(
                    await repositions.set_position(partition, to, by=by, reason=reason)
                )

        return asyncio.run(tell())

    def tell_change(self, order: ChangeOrder) -> ChangeAnswer:
        """Always refused: only an engine has the inventory."""
        raise TransientError(
            f"no engine runs on {str(self._data)!r} that knows what {order.what!r} changed; "
            "start one with `quell up`, or name a server with QUELL_SERVER"
        )

    def roll_back(self, run: str, *, reason: str = "") -> IncidentAnswer:
        """Always refused: nobody would execute it."""
        raise TransientError(
            f"no engine runs on {str(self._data)!r} that could take run {run!r} back; "
            "start one with `quell up`"
        )

    def run_playbook(
        self, playbook: str, parameters: object, *, reason: str = "", dry_run: bool = False
    ) -> IncidentStory:
        """Always refused: nobody would execute it."""
        raise TransientError(
            f"no engine runs on {str(self._data)!r} that could run {playbook!r}; "
            "start one with `quell up`"
        )

    def _tell(self, order: Callable[[CommandStage, By], Awaitable[T]]) -> T:
        async def tell() -> T:
            async with open_deciding(self._data) as commands:
                return await order(commands, local_actor("cli"))

        return asyncio.run(tell())

    def _ask(self, question: Callable[[QueryStage], Awaitable[T]], *, of_stream: bool = False) -> T:
        async def ask() -> T:
            async with open_reading(self._data, of_stream=of_stream) as queries:
                return await question(queries)

        return asyncio.run(ask())
