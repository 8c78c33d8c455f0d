from engine.core.severity import Mode
from tests.doubles.playbooks import changed, compiled


def test_the_limits_of_a_playbook_say_who_set_them() -> None:
    document = changed("approval", {"quorum": 2})
    playbook, _ = compiled(document)
    assert playbook is not None
    limits = {limit.decided_by: limit.mode for limit in playbook.mode_limits()}
    assert limits["playbook restart (max_mode)"] is Mode.AUTO
    assert limits["playbook restart needs 2 approvals, and this version asks one person"] is (
        Mode.SUGGEST
    )
    assert limits["action ssh.run"] is Mode.AUTO
