"""Standing orders to change nothing: which runs each covers, and the sentence that says why."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

StopScope = Literal["all", "rule", "playbook"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Ordered once, in force until it is lifted; `name` is a rule's or playbook's id, "" for all.

    What it covers ends, and what is created while it is in force ends at once.
    """

    scope: StopScope
    name: str
    actor: str
    reason: str
    at: datetime

    def covers(self, rule_id: str, *playbook_ids: str) -> bool:
        """Whether a run of this rule, and of any of these playbooks, must not change anything."""
        match self.scope:
            case "all":
                return True
            case "rule":
                return self.name == rule_id
            case "playbook":
                return self.name in playbook_ids

    @property
    def what(self) -> str:
        """What is stopped: `everything`, `rule 'x'`, `playbook 'x'`."""
        return what_is_stopped(self.scope, self.name)

    @property
    def sentence(self) -> str:
        """Who stopped and why, as it ends a run: `stopped by local:me: wrong host`."""
        return f"stopped by {self.actor}: {self.reason}".rstrip(": ")


def what_is_stopped(scope: StopScope, name: str) -> str:
    """A scope in words."""
    return "everything" if scope == "all" else f"{scope} {name!r}"


def stopped_by(stops: Iterable[Stop], rule_id: str, *playbook_ids: str) -> str:
    """Why a run of this rule is stopped, by the oldest stop; "" when it isn't.

    `playbook_ids` are its own playbook and those that it calls.
    """
    covering = [stop for stop in stops if stop.covers(rule_id, *playbook_ids)]
    return min(covering, key=lambda stop: stop.at).sentence if covering else ""
