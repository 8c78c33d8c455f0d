"""One version of everything that people wrote: rules, playbooks, commands, inventory, policy."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.core.actions import Estate
from engine.core.ids import sha256_hex
from engine.core.inventory import Inventory
from engine.core.json_value import canonical_bytes
from engine.core.playbook import Playbook
from engine.core.policy import Policy
from engine.core.rule import Rule
from engine.core.rule_set import RuleSet


@dataclass(frozen=True, slots=True)
class Catalog:
    """A checked set of files. `files` leads from a name to its text's hash, `texts` to the bytes.

    `rules` are in the order in which they are asked: the user's, the shipped, what takes the rest.
    """

    version: str
    files: Mapping[str, str]
    texts: Mapping[str, bytes] = field(repr=False)
    rules: RuleSet
    playbooks: Mapping[str, Playbook]
    estate: Estate
    inventory: Inventory
    policy: Policy

    def rule(self, rule_id: str) -> Rule | None:
        """The rule of this id, None when it was deleted or never was."""
        return self.rules.by_id(rule_id)


def catalog_version(files: Mapping[str, str]) -> str:
    """SHA-256 over the names and hashes of all texts."""
    return sha256_hex(canonical_bytes(dict(files)))
