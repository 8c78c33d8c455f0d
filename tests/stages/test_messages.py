"""One message an incident, posted once and then kept up to date."""

from dataclasses import replace

import pytest

from engine.core import events
from engine.core.incident_view import IncidentView
from engine.errors import FencedError, PermanentError, TransientError
from engine.stages.messages import MessageStage
from tests.doubles.scripted import RecordingNotifier
from tests.doubles.world import LEASE_S, World, approve


async def test_it_is_posted_once_and_then_updated_in_place(world: World) -> None:
    await world.fire()
    await world.elapse(1)
    ((first, ref),) = world.notifier.shown
    assert (ref, first.phase) == ("", "awaiting_approval")
    assert first.approval is not None
    assert first.approval.commands == ("gpu-07$ restart",)
    (sent,) = await world.told(events.MessageSent)
    assert (sent.notifier, sent.ref, sent.revision) == ("chat", "chat/1", first.revision)
    await approve(world)
    await world.elapse(15)
    assert {ref for _, ref in world.notifier.shown[1:]} == {"chat/1"}
    assert world.notifier.shown[-1][0].outcome == "succeeded"
    assert len(await world.told(events.MessageSent)) == 1
    assert await world.tasks("message") == {}


async def test_without_a_notifier_the_task_is_done_and_the_story_is_not_read(world: World) -> None:
    await world.fire()
    world.clock.advance(1)
    # Whoever reads its story finds none.
    task = replace(await world.claimed("message"), payload={"incident_id": "nowhere"})
    await MessageStage(world.store, {}, world.author).tell(task)
    assert await world.tasks("message") == {}


async def test_what_happens_together_is_told_together(world: World) -> None:
    await world.fire(gpu="0")
    await world.fire(gpu="1")
    await world.elapse(1)
    assert len(world.notifier.shown) == 1


async def test_what_never_goes_through_stops_nothing(world: World) -> None:
    world.notifier.faults = [PermanentError("no such channel")]
    await world.fire()
    await world.elapse(1)
    assert world.notifier.shown == []
    assert await world.tasks("message") == {}
    assert (await world.approval()).state == "pending"
    await approve(world)
    await world.elapse(15)
    assert world.notifier.shown[0][1] == ""
    assert (await world.incident()).outcome == "succeeded"


async def test_one_surface_that_is_away_is_asked_again_and_no_other_posts_twice(
    world: World,
) -> None:
    await world.fire()
    world.clock.advance(1)
    other = RecordingNotifier("other", faults=[TransientError("rate limited")])
    stage = MessageStage(world.store, {"chat": world.notifier, "other": other}, world.author)
    task = await world.claimed("message")
    with pytest.raises(TransientError):
        await stage.tell(task)
    await stage.tell(task)
    assert [ref for _, ref in world.notifier.shown] in (["", "chat/1"], [""])
    assert [ref for _, ref in other.shown] == [""]
    assert sorted(each.notifier for each in await world.told(events.MessageSent)) == [
        "chat",
        "other",
    ]


async def test_who_lost_the_lease_journals_nothing(world: World) -> None:
    await world.fire()
    world.clock.advance(1)
    task = await world.claimed("message")
    with pytest.raises(FencedError):
        await world.messages.tell(replace(task, token=task.token + 1))
    assert await world.told(events.MessageSent) == []


async def test_who_was_held_up_and_showed_what_is_old_has_it_shown_once_more(
    world: World,
) -> None:
    """Another worker took over meanwhile, and showed the end: it must not stay overwritten."""
    await world.fire()
    world.clock.advance(1)
    task = await world.claimed("message")
    slow = RecordingNotifier()

    async def held_up(view: IncidentView, ref: str) -> str:
        world.clock.advance(LEASE_S + 1)
        await world.settle("message")
        await approve(world)
        await world.elapse(15)
        return await RecordingNotifier.show(slow, view, ref)

    slow.show = held_up  # type: ignore[method-assign]
    stage = MessageStage(world.store, {"chat": slow}, world.author)
    with pytest.raises(FencedError):
        await stage.tell(task)
    assert slow.shown[-1][0].outcome == ""
    await world.store.write(lambda tx: stage.tell_again(tx, task))
    before = len(world.notifier.shown)
    await world.settle()
    assert len(world.notifier.shown) == before + 1
    assert world.notifier.shown[-1][0].outcome == "succeeded"
