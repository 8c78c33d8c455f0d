from engine.core.catalog import Catalog
from engine.stages.deciding.work import BatchWork
from tests.doubles.world import World


async def test_an_occurrence_that_no_record_named_is_read_when_it_is_needed(world: World) -> None:
    await world.fire("Down", service="s")
    catalog: Catalog = world.catalogs.active
    fingerprint = world.alert("Down", {"service": "s"}).fingerprint

    def look(tx: object) -> tuple[bool, bool]:
        work = BatchWork(tx, catalog, {})  # type: ignore[arg-type]
        found = work.occurrence(fingerprint)
        return found is not None and found.is_open, work.occurrence("nobody") is None

    assert await world.store.read(look) == (True, True)
