"""What people were told of an incident is kept, each text once."""

from dataclasses import replace

from engine.core.incident_view import view
from engine.rehearsal.told_people import ToldPeople
from tests.doubles.runs import an_incident


async def test_each_text_is_kept_once_in_the_order_in_which_it_came() -> None:
    people, first = ToldPeople(), view(an_incident(), [])
    ref = await people.show(replace(first, lines=("12:00:00 it opened",)), "")
    later = replace(first, lines=("12:00:00 it opened", "12:01:00 it ended"))
    assert await people.show(later, ref) == ref
    assert people.texts(first.incident_id)[-2:] == ("it opened", "it ended")
    assert len(people.texts(first.incident_id)) == 3
    assert people.texts("another") == ()
