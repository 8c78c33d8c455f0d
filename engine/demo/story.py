"""The demo from its first line to its last: break a service, tell quell, and watch.

The alert comes over HTTP and the repair goes over SSH; only the watching is done from inside.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import httpx

from engine.app import Engine
from engine.core import events
from engine.core.timeline import timeline
from engine.demo.asking import Answerer
from engine.demo.hosting import UNIT, Place
from engine.demo.model_server import MODEL
from engine.demo.narration import Narrator
from engine.demo.workspace import ACTOR, SERVICE, TARGET, notification
from engine.errors import QuellError
from engine.ports.commands import By
from engine.ports.rows import IncidentFilter

FINE, FAILED = 0, 3

STAGE_DEADLINE_S = 30.0
LOOK_EVERY_S = 0.05
REQUEST_TIMEOUT_S = 5.0
POSTMORTEM_LINES = 22

PROMETHEUS = """\
alerting:
  alertmanagers:
    - static_configs:
        - targets: ['127.0.0.1:8484']
"""


class DemoFailedError(QuellError):
    """The demo didn't come to its end; the message says at which point."""


@dataclass(slots=True)
class Story:
    """One telling of the demo, on an engine that takes alerts at `url`."""

    engine: Engine
    url: str
    place: Place
    narrator: Narrator
    answerer: Answerer
    web: httpx.AsyncClient
    fired_at: datetime = field(init=False)
    incident_id: str = ""
    told: int = 0

    async def tell(self) -> int:
        """The whole story; 0 when it went as it should. Raises QuellError where it didn't."""
        await self._show_the_service()
        await self._break_it()
        await self._send_the_alert()
        asked = await self._next(events.ApprovalRequested, events.RunEnded)
        ended: events.Event = asked
        if isinstance(asked, events.ApprovalRequested):
            approved = await self._decide(asked)
            ended = await self._next(events.RunEnded)
            if not approved:
                await self._explain_the_rejection()
                await self._verify_the_journal()
                self._say_what_is_next()
                return FINE
        if not isinstance(ended, events.RunEnded) or ended.outcome != "succeeded":
            raise DemoFailedError("the run did not succeed")
        self._show_the_witness()
        await self._resolve()
        await self._next(events.PostmortemWritten)
        await self._show_the_postmortem()
        await self._verify_the_journal()
        self._say_what_is_next()
        return FINE

    async def show_timeline(self) -> None:
        """All that the journal says of the incident, for a story that failed."""
        if not self.incident_id:
            self.narrator.say("There is no incident yet.")
            return
        page = await self.engine.queries.timeline(self.incident_id)
        for line in timeline(page.entries):
            self.narrator.fact(f"{line.at:%H:%M:%S}", f"{line.actor}: {line.text}")
            self.narrator.output(line.detail)

    async def _show_the_service(self) -> None:
        ready, narrator = self.place.ready, self.narrator
        narrator.stage("A service that works")
        async with self._deadline("the model server to answer"):
            while await self._completion_problem():
                await self.engine.clock.sleep(LOOK_EVERY_S)
        pid = await self.place.unit_pid()
        narrator.fact("host", f"{TARGET}, reached by SSH on port {ready.ssh_port}")
        narrator.fact("", f"its key {ready.fingerprint} is checked by known_hosts")
        narrator.fact("service", f"{SERVICE}: a model server at {self.place.model_url}")
        narrator.fact("", f"process {pid}, kept as the unit {UNIT}")
        narrator.fact("quell", f"{self.url}, with SQLite and its own log as the stream")
        await self._show_completion()

    async def _break_it(self) -> None:
        self.narrator.stage("It dies")
        pid = await self.place.unit_pid()
        os.kill(pid, signal.SIGKILL)
        self.narrator.fact("done to it", f"kill -9 {pid}", "bold")
        async with self._deadline("the model server to be gone"):
            while await self.place.unit_pid() or not await self._completion_problem():
                await self.engine.clock.sleep(LOOK_EVERY_S)
        await self._show_completion()

    async def _send_the_alert(self) -> None:
        self.fired_at = self.engine.clock.now()
        self.narrator.start_clock()
        self.narrator.stage("The alert")
        self.narrator.say(
            "Prometheus would notice the failing probe, and Alertmanager would tell quell. The "
            "demo sends what Alertmanager sends (its webhook, version 4)."
        )
        await self._notify(None)
        async with self._deadline("an incident"):
            while not self.incident_id:
                for incident in await self.engine.queries.incidents(IncidentFilter(limit=1)):
                    self.incident_id = incident.id
                await self.engine.clock.sleep(LOOK_EVERY_S)

    async def _decide(self, asked: events.ApprovalRequested) -> bool:
        """Ask, and order what was answered; False when the plan was rejected."""
        narrator, until = self.narrator, events.moment(asked.expires_at)
        narrator.stage("Approval: a person decides")
        narrator.fact("asked", ", ".join(asked.ask))
        narrator.fact("", "in Slack, by `quell approve`, or by the API: the first answer stands")
        narrator.fact("expires", f"{until:%H:%M:%S} UTC; no answer is never a yes")
        try:
            async with asyncio.timeout((until - self.engine.clock.now()).total_seconds()):
                answer = await self.answerer.answer()
        except TimeoutError:
            raise DemoFailedError("nobody answered before the request expired") from None
        await self.engine.commands.decide(
            asked.approval_id,
            "approved" if answer.approves else "rejected",
            plan_hash=asked.plan_hash,
            by=By(ACTOR, "demo", self.engine.loaded.settings.roles_of(ACTOR)),
            reason=answer.reason,
        )
        return answer.approves

    async def _explain_the_rejection(self) -> None:
        self.narrator.stage("What a rejection means")
        self.narrator.say(
            "The plan is void, and nothing was changed: the model server is still down. The alert "
            "goes on firing, and the incident stays open until the source resolves it."
        )
        await self._show_completion()
        incident = await self.engine.queries.incident(self.incident_id)
        phase = incident.phase.replace("_", " ")
        self.narrator.fact("incident", f"{incident.name} is {incident.status}: {phase}", "bold")

    def _show_the_witness(self) -> None:
        self.narrator.stage("The host's own log agrees")
        self.narrator.output(
            "\n".join(line for line in self.place.ssh_log() if "systemctl restart" in line)
        )

    async def _resolve(self) -> None:
        self.narrator.stage("Resolution")
        self.narrator.say(
            "quell doesn't close what it repaired on its own word: the source does, once its probe "
            "holds. So the demo asks for a completion itself, and sends the resolved notice."
        )
        if problem := await self._completion_problem():
            raise DemoFailedError(f"the model server does not serve after all: {problem}")
        await self._show_completion()
        await self._notify(self.engine.clock.now())
        await self._next(events.IncidentResolved)

    async def _show_the_postmortem(self) -> None:
        incident = await self.engine.queries.incident(self.incident_id)
        text = await asyncio.to_thread(Path(incident.postmortem).read_text)
        self.narrator.output(text, POSTMORTEM_LINES)

    async def _verify_the_journal(self) -> None:
        self.narrator.stage("Audit: is the journal what was written?")
        report = await self.engine.queries.verify_audit()
        self.narrator.say(
            "Every line above came from an append-only journal, in which each entry carries the "
            "hash of the one before it. This is `quell audit verify`:"
        )
        self.narrator.output("\n".join(report.faults))
        broken = f"{len(report.faults)} chains are broken"
        verdict = broken if report.faults else "all are as they were written"
        counted = f"{report.entries} entries in {report.chains} chains"
        self.narrator.fact("journal", f"{counted}: {verdict}", "bold")
        if report.faults:
            raise DemoFailedError("the journal is not what was written")

    def _say_what_is_next(self) -> None:
        narrator = self.narrator
        narrator.stage("What to try next")
        narrator.hint("quell demo", "on a terminal, and answer n: what does a rejection leave?")
        narrator.hint("quell demo --keep", "keeps its quell.yaml, inventory, journal, postmortem")
        narrator.hint("quell up", "your own quell on 127.0.0.1:8484; shipped rules only observe")
        narrator.hint(
            "quell check PATHS", "every mistake in your rules and playbooks, in its place"
        )
        narrator.say("Then let your Prometheus name quell as one of its Alertmanagers:")
        narrator.output(PROMETHEUS)
        narrator.say("docs/rules.md and docs/playbooks.md in the repository tell how to go on.")

    async def _next(self, *kinds: type[events.Event]) -> events.Event:
        """Tell what happens until one of these has happened. Raises DemoFailedError when late."""
        async with self._deadline(" or ".join(kind.KIND.partition("@")[0] for kind in kinds)):
            while True:
                page = await self.engine.queries.timeline(self.incident_id, after_seq=self.told)
                for entry in page.entries:
                    self.told = entry.seq
                    event = entry.event()
                    if event is not None:
                        self.narrator.tell(event, entry.actor)
                    if isinstance(event, kinds):
                        return event
                await self.engine.clock.sleep(LOOK_EVERY_S)

    async def _notify(self, ended_at: datetime | None) -> None:
        body = notification(self.place, MODEL, self.fired_at, ended_at)
        address = f"{self.url}/v1/alerts/alertmanager"
        self.narrator.fact("POST", address, "bold")
        self.narrator.fact("", f"{body['status']}: LLMEndpointDown on {self.place.instance}")
        try:
            answer = await self.web.post(address, json=body)
        except httpx.HTTPError as error:
            raise DemoFailedError(f"quell did not take the alert: {error!r}") from error
        if answer.status_code != 200:
            raise DemoFailedError(f"quell answered {answer.status_code}: {answer.text}")
        self.narrator.fact("answer", "200: quell answers only once the alert is on disk")

    async def _completion_problem(self) -> str:
        """Why a completion fails now, "" when it works."""
        return (await self._completion())[1]

    async def _show_completion(self) -> None:
        text, problem, took_s = await self._completion()
        if problem:
            self.narrator.fact("completion", f"fails: {problem}", "bold red")
        else:
            self.narrator.fact("completion", f"{text!r} in {took_s:.3f} s", "green")

    async def _completion(self) -> tuple[str, str, float]:
        """(text, problem, seconds) of a completion as any client would ask for it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        question = {"model": MODEL, "messages": [{"role": "user", "content": "Are you there?"}]}
        try:
            address = f"{self.place.model_url}/v1/chat/completions"
            answer = await self.web.post(address, json=question)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            return "", f"{type(error).__name__}: {error}", loop.time() - began
        text = str(answer.json()["choices"][0]["message"]["content"])
        return text, "", loop.time() - began

    @asynccontextmanager
    async def _deadline(self, awaited: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(STAGE_DEADLINE_S):
                yield
        except TimeoutError:
            problem = f"waited {STAGE_DEADLINE_S:g} s for {awaited} in vain"
            raise DemoFailedError(problem) from None
