"""Records of the stream become journal, projections, tasks and position.

`batch` is where it starts; `acting` says what an occurrence comes to by the rules that take it,
`admitting` whether it has to wait, `timers` what a tick asks, and `writing` writes it once.
`looking` is for a partition that is far behind: it finds what `ahead` decides before its turn.
"""

from engine.stages.deciding.batch import Decided, decide, decide_on, give_up
from engine.stages.deciding.expecting import expect_heartbeats
from engine.stages.deciding.looking import FAR_BEHIND, LookAhead

__all__ = [
    "FAR_BEHIND",
    "Decided",
    "LookAhead",
    "decide",
    "decide_on",
    "expect_heartbeats",
    "give_up",
]
