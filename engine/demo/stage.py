"""Sets up what the demo plays on, host, quell and a folder of its own, and clears it away."""

import asyncio
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from rich.console import Console

from engine.app import Engine, open_engine
from engine.demo.asking import Answerer, why_by_itself
from engine.demo.hosting import Place, running_host
from engine.demo.loopback import open_loopback
from engine.demo.narration import Narrator
from engine.demo.story import FAILED, REQUEST_TIMEOUT_S, Story
from engine.demo.workspace import write_workspace
from engine.errors import QuellError
from engine.logs import configure_logs
from engine.settings import ALL_ROLES

STOPPED = 1

# The name of a Unix socket, which is below, may have about a hundred characters.
MAX_PARENT_CHARACTERS = 55


class _StoppedError(Exception):
    """A signal ended the engine, so the story ends too."""


async def play(console: Console, *, yes: bool, keep: bool) -> int:
    """Play the demo and return its exit code: 0, 1 when it was stopped, 3 when it failed."""
    answerer = Answerer(console, why_by_itself(yes=yes))
    narrator = Narrator(console)
    narrator.begin(answerer.by_itself)
    if done := open_loopback():
        narrator.say(done)
    with _folder(narrator, keep=keep) as folder, _logs_in(folder):
        async with (
            running_host(folder / "host") as place,
            open_engine(write_workspace(folder, place)) as engine,
        ):
            narrator.rules = {rule.id: rule for rule in engine.catalogs.active.rules}
            return await _perform(engine, place, narrator, answerer)


async def _perform(engine: Engine, place: Place, narrator: Narrator, answerer: Answerer) -> int:
    """Run the engine and tell the story on it."""
    url = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        await engine.run(ALL_ROLES, url.set_result)
        raise _StoppedError

    outcome = FAILED
    try:
        async with (
            httpx.AsyncClient(trust_env=False, timeout=REQUEST_TIMEOUT_S) as web,
            asyncio.TaskGroup() as group,
        ):
            serving = group.create_task(serve())
            story = Story(engine, await url, place, narrator, answerer, web)
            outcome = await _told(story)
            serving.cancel()
    except* _StoppedError:
        narrator.stage("Stopped: the host and this quell end here")
        outcome = STOPPED
    except* QuellError as failed:
        narrator.say(str(failed.exceptions[0]), "bold red")
    return outcome


async def _told(story: Story) -> int:
    try:
        return await story.tell()
    except QuellError as error:
        story.narrator.stage("The demo failed")
        story.narrator.say(f"{error}. This is what the journal says:", "bold red")
        await story.show_timeline()
        return FAILED


@contextmanager
def _folder(narrator: Narrator, *, keep: bool) -> Iterator[Path]:
    parent = tempfile.gettempdir()
    roomy = len(parent) <= MAX_PARENT_CHARACTERS
    folder = Path(tempfile.mkdtemp(prefix="quell-demo-", dir=parent if roomy else "/tmp")).resolve()
    try:
        yield folder
    finally:
        if keep:
            narrator.say(f"The demo's files are kept in {folder}")
        else:
            shutil.rmtree(folder)


@contextmanager
def _logs_in(folder: Path) -> Iterator[None]:
    """quell's own logs, which it would write to standard error, go into the folder."""
    with (folder / "quell.log").open("w") as file:
        configure_logs(file)
        yield
