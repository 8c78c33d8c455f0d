"""People and what they order, each through a gateway that may crash before it answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from engine.errors import QuellError
from engine.ports.accepted_modes import waiting_raise
from engine.ports.answering import open_questions
from engine.ports.commands import By
from engine.ports.locking import all_locks
from engine.ports.recording import Author
from engine.stages.commands import CommandStage
from engine.stages.switching import SwitchStage
from tests.doubles.written import WrittenCatalog
from tests.simulation.inline_store import Database, InlineStore
from tests.simulation.invariants import EDITOR, ONCALL, SECOND, STRANGER
from tests.simulation.scenes import Scene
from tests.simulation.scheduler import Process, ProcessClock, Scheduler
from tests.simulation.written import HOSTS
from tests.simulation.written_guarded import PROMISED

# More would only make a history longer; where it is busy, people start more, and order faster.
MOST_RUNS_BY_HAND = {False: 2, True: 5}
ORDERS_WITHIN_S = {False: 45.0, True: 20.0}

# Of which something may have stayed.
_ENDED = (
    "SELECT id FROM runs WHERE outcome IN ('succeeded', 'partial', 'failed', 'cancelled') "
    "ORDER BY ended_at_us DESC, id LIMIT 3"
)

_PENDING = "SELECT 1 FROM approvals WHERE state = 'pending' LIMIT 1"

# Runs under way that wait for the `when` of a revert.
_HELD_BACK = (
    "SELECT DISTINCT runs.id FROM runs JOIN entries ON entries.kind = 'run.held_back@1' AND "
    "instr(CAST(entries.body AS TEXT), runs.id) AND "
    'instr(CAST(entries.body AS TEXT), \'"guard":"revert"\') '
    "WHERE runs.outcome = '' ORDER BY runs.id"
)

Order = Callable[[CommandStage, InlineStore], Awaitable[bool]]


@dataclass
class People:
    """Everybody who orders something."""

    scheduler: Scheduler
    database: Database
    catalogs: WrittenCatalog
    scene: Scene
    runs_by_hand: int = 0

    async def person(self) -> None:
        """Approves mostly; also has all other orders of the scene in mind, allowed or not."""
        scheduler, random = self.scheduler, self.scheduler.random
        clock = ProcessClock(scheduler, Process("person", mortal=False))
        orders: dict[str, Order] = {
            "approve": self._approve,
            "reject": self._reject,
            "cancel": self._cancel,
            "run": self._run,
            "answer": self._answer,
            "roll back": self._roll_back,
            "keep": self._keep,
            "lift": self._lift,
            "confirm": self._confirm,
            "try": self._try,
        }
        wanted = self.scene.all_orders
        while scheduler.chaos:
            await clock.sleep(random.uniform(1, ORDERS_WITHIN_S[self.scene.busy]))
            what = random.choices([*wanted], [*wanted.values()])[0]
            if what == "stop":
                await self._stop(clock)
            elif await self._ordered(what, orders[what]):
                scheduler.counts[f"person: {what}"] += 1

    async def janitor(self) -> None:
        """Looks from time to time at what ended runs keep locked, and lets it go.

        Once it is calm remedies stay that nothing will ever take back.
        """
        clock = ProcessClock(self.scheduler, Process("janitor", mortal=False))
        while True:
            await clock.sleep(self.scheduler.random.uniform(10, 60))
            for target in self._kept():
                if await self._ordered("release", _releasing(target)):
                    self.scheduler.counts["person: release"] += 1
            for run in () if self.scheduler.chaos else self._waiting():
                await self._ordered("keep", _keeping(run))

    async def _ordered(self, what: str, order: Order) -> bool:
        """Whether the order was obeyed; one without an answer, or refused, isn't known to be."""
        process = Process("gateway")
        store = InlineStore(self.database, process)
        commands = CommandStage(store, ProcessClock(self.scheduler, process), self.catalogs)
        ordering = asyncio.get_running_loop().create_task(_done(order(commands, store)))
        process.task = ordering
        try:
            obeyed = await ordering
        except QuellError as error:
            self.scheduler.tell(f"person: {what} refused: {error}")
            return False
        except asyncio.CancelledError:
            if not process.dead:
                raise
            self.scheduler.tell(f"person: {what} got no answer")
            return False
        if obeyed:
            self.scheduler.tell(f"person: {what}")
        return obeyed

    async def _approve(self, commands: CommandStage, store: InlineStore) -> bool:
        return await self._decide(commands, store, "approved")

    async def _reject(self, commands: CommandStage, store: InlineStore) -> bool:
        return await self._decide(commands, store, "rejected")

    async def _decide(self, commands: CommandStage, store: InlineStore, decision: str) -> bool:
        if not self.database.rows(_PENDING):
            return False
        random = self.scheduler.random
        by = self._somebody()
        run = await self._some_run(store)
        asked = await store.read(lambda tx: tx.find_approvals(run)) if run else []
        if not asked or asked[0].state != "pending":
            return False
        shown = asked[0].plan_hash if random.random() < 0.9 else "0" * 64
        decided = await commands.decide(
            asked[0].id,
            decision,  # type: ignore[arg-type]  # one of the two
            plan_hash=shown,
            by=by,
        )
        if decided.accepted and (shown != asked[0].plan_hash or by is STRANGER):
            self.scheduler.violate(
                f"invariant 6: {by.actor} decided on a plan not shown, or may not"
            )
        return decided.accepted

    async def _cancel(self, commands: CommandStage, store: InlineStore) -> bool:
        run = await self._some_run(store)
        if run:
            await commands.cancel_run(run, by=self._somebody(), reason="not now")
        return bool(run)

    async def _run(self, commands: CommandStage, _: InlineStore) -> bool:
        random = self.scheduler.random
        if self.runs_by_hand == MOST_RUNS_BY_HAND[self.scene.busy]:
            return False
        self.runs_by_hand += 1
        playbook, host = random.choice(self.scene.playbooks), random.choice(HOSTS)
        await commands.run_playbook(playbook, {"host": host}, by=ONCALL)
        return True

    async def _answer(self, commands: CommandStage, store: InlineStore) -> bool:
        """What the first question that waits asks, or something else; twice, now and then."""
        random, by = self.scheduler.random, self._somebody()
        runs = await store.read(
            lambda tx: [run.id for run in tx.active_runs() if open_questions(tx, run)]
        )
        if not runs:
            return False
        run, said = random.choice(runs), random.choice(("restart", "restart", "warm", "reboot"))
        await commands.answer(run, said, by=by)
        if by is STRANGER or said == "reboot":
            self.scheduler.violate(f"invariant 15: {by.actor} answered {said}, and may not")
        if random.random() < 0.2:
            await commands.answer(run, "warm", by=ONCALL)
            self.scheduler.violate("invariant 15: a second answer was taken")
        return True

    async def _roll_back(self, commands: CommandStage, _: InlineStore) -> bool:
        ended = [run for (run,) in self.database.rows(_ENDED)]
        if not ended:
            return False
        await commands.roll_back(self.scheduler.random.choice(ended), by=self._somebody())
        return True

    async def _keep(self, commands: CommandStage, _: InlineStore) -> bool:
        ended = [run for (run,) in self.database.rows(_ENDED)]
        if not ended:
            return False
        run = self.scheduler.random.choice(ended)
        await commands.keep(run, by=self._somebody(), reason="still needed")
        return True

    async def _lift(self, _: CommandStage, store: InlineStore) -> bool:
        switches = SwitchStage(store, Author)
        return bool(await switches.lift_brake(by=self._somebody(), reason="seen"))

    async def _confirm(self, _: CommandStage, store: InlineStore) -> bool:
        waiting = await store.read(waiting_raise)
        if waiting is None:
            return False
        by = self.scheduler.random.choice((EDITOR, STRANGER, SECOND))
        await SwitchStage(store, Author).confirm_raises(waiting[0].version, by=by)
        return True

    async def _try(self, commands: CommandStage, _: InlineStore) -> bool:
        broken = next(p for p in self.scene.playbooks if PROMISED[p].failures is not None)
        await commands.try_again(broken, by=self._somebody(), reason="mended")
        return True

    async def _stop(self, clock: ProcessClock) -> None:
        async def stop(commands: CommandStage, _: InlineStore) -> bool:
            return bool(await commands.stop("all", by=ONCALL, reason="a drill"))

        async def resume(commands: CommandStage, _: InlineStore) -> bool:
            return not await commands.resume("all", by=ONCALL)

        if await self._ordered("stop", stop):
            self.scheduler.counts["person: stop"] += 1
        await clock.sleep(self.scheduler.random.uniform(1, 20))
        # Also where the order got no answer: it may have been obeyed.
        while self.database.rows("SELECT * FROM stops"):
            await self._ordered("resume", resume)

    def _somebody(self) -> By:
        return ONCALL if self.scheduler.random.random() < 0.85 else STRANGER

    async def _some_run(self, store: InlineStore) -> str:
        runs = await store.read(lambda tx: tx.active_runs())
        return self.scheduler.random.choice(list(runs)).id if runs else ""

    def _kept(self) -> list[str]:
        locks = self.database.execute(all_locks)[0]
        return [lock.held.target for lock in locks if lock.kept]

    def _waiting(self) -> list[str]:
        """The runs that have waited long for the `when` of their revert."""
        return [run for (run,) in self.database.rows(_HELD_BACK)]


async def _done(order: Awaitable[bool]) -> bool:
    return await order


def _releasing(target: str) -> Order:
    async def release(commands: CommandStage, _: InlineStore) -> bool:
        return bool(await commands.release_lock(target, by=ONCALL, reason="looked at it"))

    return release


def _keeping(run: str) -> Order:
    async def keep(commands: CommandStage, _: InlineStore) -> bool:
        return bool(await commands.keep(run, by=ONCALL, reason="nothing else will do"))

    return keep
