"""The benchmark renders the whole plan of the design's example."""

from pathlib import Path

from benchmarks import render_plan


def test_each_turn_renders_the_same_plan(tmp_path: Path) -> None:
    render = render_plan.renderer(tmp_path)
    assert render() == render()
    assert len(render()) == 64
