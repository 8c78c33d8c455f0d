"""Who may do what: pure decisions with a reason, on the roles that an actor has."""

from collections.abc import Collection
from dataclasses import dataclass

from engine.errors import DeniedError

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether it is allowed, and the sentence that says why not."""

    allowed: bool
    reason: str = ""

    def demand(self) -> None:
        """Raise DeniedError where it isn't allowed."""
        if not self.allowed:
            raise DeniedError(self.reason)


def may_decide(actor: str, roles: Collection[str], ask: Collection[str]) -> Verdict:
    """Whether this actor may answer a request for approval that asks `ask`.

    `ask` holds `role:<name>` and `user:<actor>`. Who holds the installation's own token is
    `admin` and may answer every request.
    """
    wanted = {f"role:{role}" for role in roles} | {f"user:{actor}"}
    if ADMIN in roles or wanted & set(ask):
        return Verdict(allowed=True)
    return Verdict(
        allowed=False,
        reason=f"{actor} is none of {', '.join(sorted(ask))}; quell.yaml says at `people` who is",
    )


def may_administer(actor: str, roles: Collection[str]) -> Verdict:
    """Whether this actor may decide what is lost for good."""
    if ADMIN in roles:
        return Verdict(allowed=True)
    return Verdict(allowed=False, reason=f"{actor} needs the role {ADMIN}")


def may_order(actor: str, roles: Collection[str]) -> Verdict:
    """Whether this actor may start, cancel or acknowledge."""
    if ADMIN in roles or "oncall" in roles:
        return Verdict(allowed=True)
    return Verdict(allowed=False, reason=f"{actor} needs the role oncall or admin")
