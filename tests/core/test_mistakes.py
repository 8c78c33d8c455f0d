from engine.core.mistakes import Mistake, Mistakes


def test_mistakes_below_a_path_gather_in_one_place() -> None:
    mistakes = Mistakes()
    mistakes.at("rules", 0).at("when").add("wrong", 7)
    mistakes.add("and this")
    assert mistakes.found == [Mistake(("rules", 0, "when"), "wrong", 7), Mistake((), "and this")]


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all_that_there_are() -> None:
    mistakes = Mistakes()
    mistakes.unknown("playbook", "restart-vlm", ["restart-vllm", "clean"])
    mistakes.unknown("playbook", "xyz", ["b", "a"])
    mistakes.unknown("playbook", "xyz", [])
    mistakes.unknown("playbook", "xyz", [f"long-{n}" for n in range(9)])
    assert [mistake.message for mistake in mistakes.found] == [
        "unknown playbook 'restart-vlm', did you mean 'restart-vllm'?",
        "unknown playbook 'xyz'; there is a, b",
        "unknown playbook 'xyz'",
        "unknown playbook 'xyz'",
    ]
