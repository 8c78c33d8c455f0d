"""`quell approve` and `quell reject`: the same decision as in Slack."""

from typing import Annotated, Literal

import typer

from engine.cli.options import DATA, Data, Json, Reason
from engine.cli.output import print_json, say
from engine.cli.site import reach
from engine.errors import ConflictError
from engine.ports.api import DecisionAnswer

Id = Annotated[
    str, typer.Argument(metavar="ID", help="Of an approval, run or incident; INC-12 too.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command("approve")(approve)
    app.command("reject")(reject)


def approve(id_: Id, reason: Reason = "", data: Data = DATA, json: Json = False) -> int:
    """Approve a plan; `quell incidents show` shows it.

    Exit code 1 when another decision stands, or none can be made any more.
    """
    return _decide(id_, "approve", reason, data=data, json=json)


def reject(id_: Id, reason: Reason = "", data: Data = DATA, json: Json = False) -> int:
    """Reject a plan: its run ends without a change.

    Exit code 1 when another decision stands, or none can be made any more.
    """
    return _decide(id_, "reject", reason, data=data, json=json)


def _decide(
    id_: str, decision: Literal["approve", "reject"], reason: str, *, data: Data, json: bool
) -> int:
    with reach(data) as site:
        asked = site.approval(id_)
        try:
            answer = site.decide(asked.id, decision, plan_hash=asked.plan_hash, reason=reason)
        except ConflictError as error:
            # The first decision stands: that is an answer, and a program wants to read it.
            answer = DecisionAnswer(approval=site.approval(asked.id), sentence=str(error))
    is_so = answer.approval.state == ("approved" if decision == "approve" else "rejected")
    if json:
        print_json(answer)
    else:
        say(answer.sentence, style="green" if is_so else "yellow")
    return 0 if is_so else 1
