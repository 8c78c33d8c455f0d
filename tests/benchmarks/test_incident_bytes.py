from pathlib import Path

from benchmarks.incident_bytes import growth, table


async def test_each_incident_leaves_entries_of_the_journal(tmp_path: Path) -> None:
    grown = await growth(tmp_path, 2)
    assert grown["entries"] > 0
    assert grown["dead_letters"] == 0


def test_the_largest_comes_first_and_the_sum_last() -> None:
    lines = table({"runs": 100, "entries": 5_000, "tasks": 0}, 10).splitlines()
    assert [line.split() for line in lines] == [
        ["entries", "500", "B"],
        ["runs", "10", "B"],
        ["together", "510", "B"],
    ]
