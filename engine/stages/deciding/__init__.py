"""Records of the stream become journal, projections, tasks and position.

`batch` is where it starts; `acting` says what an occurrence comes to by the rules that take it,
`admitting` whether it has to wait, `timers` what a tick asks, and `writing` writes it once.
"""

from engine.stages.deciding.batch import Decided, decide, decide_on, give_up
from engine.stages.deciding.expecting import expect_heartbeats

__all__ = ["Decided", "decide", "decide_on", "expect_heartbeats", "give_up"]
