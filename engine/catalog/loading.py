"""Every file of a catalog parsed, checked against all others and made ready, or nothing at all."""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain

from engine.catalog.calling import WrittenPlaybooks
from engine.catalog.overlays import caps_of, overlaid, rule_findings, unknown_rules
from engine.catalog.parsing import Parsed, parse
from engine.catalog.sources import CatalogSources, Kind, SourceFile, read_sources
from engine.core.actions import Declaration, Estate
from engine.core.catalog import Catalog, catalog_version
from engine.core.documents import (
    CommandDocument,
    CommandsDocument,
    InventoryDocument,
    PlaybookDocument,
)
from engine.core.findings import Finding
from engine.core.ids import sha256_hex
from engine.core.impossible import check_possible
from engine.core.inventory import Inventory, build_inventory
from engine.core.json_value import canonical_bytes
from engine.core.mistakes import Mistakes
from engine.core.parameters import TypedParameter
from engine.core.playbook import Playbook
from engine.core.playbook_checks import check_commands, compile_parameters
from engine.core.policy import Policy, compile_policy
from engine.core.policy_documents import PolicyDocument
from engine.core.rehearsal_documents import (
    RehearsalsDocument,
    check_names,
    check_rehearsals,
    check_results,
)
from engine.core.rule import Rule, RuleContext, compile_rule
from engine.core.rule_documents import RulesDocument
from engine.core.rule_set import RuleSet
from engine.core.steps import PlaybookContext
from engine.errors import ConfigError

OVERLAY_NAME = "overlay"


def load_catalog(sources: CatalogSources, actions: Mapping[str, Declaration]) -> Catalog:
    """Read and check everything. Raises ConfigError with all mistakes of all files."""
    catalog, findings = load_what_is_right(sources, actions)
    if findings:
        count = f"{len(findings)} mistake{'s' if len(findings) != 1 else ''}"
        raise ConfigError(f"{count} in the catalog; nothing was loaded", findings)
    return catalog


def load_what_is_right(
    sources: CatalogSources, actions: Mapping[str, Declaration]
) -> tuple[Catalog, Sequence[Finding]]:
    """The catalog without whatever has a mistake, and all mistakes: nobody decides by that one."""
    findings: list[Finding] = []
    files = read_sources(sources, findings)
    with _uncollected():
        catalog = _Loader(sources, actions, findings).load(files)
    return catalog, sorted(set(findings))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Nobody looks for garbage meanwhile: what is made here stays, and each look goes over it."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def written_version(sources: CatalogSources) -> str:
    """The version that the files would have now; some other text where one can't be read."""
    findings: list[Finding] = []
    texts = _texts(read_sources(sources, findings), sources)
    hashes = {name: sha256_hex(text) for name, text in texts.items()}
    return catalog_version(hashes | {str(each): "" for each in findings})


def _texts(files: Sequence[SourceFile], sources: CatalogSources) -> Mapping[str, bytes]:
    """What decides, by name: all but the tests, and what quell.yaml changes of rules."""
    texts = {each.name: each.text for each in files if each.kind is not Kind.REHEARSALS}
    if sources.overlay:
        overlay = {
            name: each.model_dump(mode="json", exclude_unset=True)
            for name, each in sources.overlay.items()
        }
        texts[OVERLAY_NAME] = canonical_bytes(overlay)
    return texts


def parse_playbook(text: bytes, called: Mapping[str, bytes], context: PlaybookContext) -> Playbook:
    """A playbook from the exact texts of an earlier catalog version, its own and those it calls.

    Raises ConfigError.
    """
    findings: list[Finding] = []
    parsed: dict[str, Parsed[PlaybookDocument]] = {}
    own = ""
    for name, each in {"": text, **called}.items():
        file = f"the run's own text of {name}" if name else "the run's own text"
        source = SourceFile(Kind.PLAYBOOK, file, file, each, shipped=False)
        found = parse(source, PlaybookDocument, findings)
        if found is not None:
            own = own if name else found.document.id
            parsed[found.document.id] = found
    playbook = WrittenPlaybooks(parsed).compile_all(context).get(own)
    findings += [finding for each in parsed.values() for finding in each.findings()]
    if playbook is None or findings:
        raise ConfigError(f"playbook {own} can't be used any more", sorted(findings))
    return playbook


def context_of(
    catalog: Catalog, actions: Mapping[str, Declaration], roles: frozenset[str] = frozenset()
) -> PlaybookContext:
    """What `parse_playbook` checks an old text against: the catalog that is active now."""
    parameters = {name: each.parameters for name, each in catalog.playbooks.items()}
    return PlaybookContext(actions, catalog.estate.commands, catalog.inventory, roles, parameters)


@dataclass(slots=True)
class _Loader:
    sources: CatalogSources
    actions: Mapping[str, Declaration]
    findings: list[Finding]
    _owners: dict[str, SourceFile] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _unread: set[str] = field(default_factory=set)

    def load(self, files: Sequence[SourceFile]) -> Catalog:
        by_kind = {kind: [each for each in files if each.kind is kind] for kind in Kind}
        inventory, connections = self._inventory(by_kind[Kind.INVENTORY])
        commands = self._commands(by_kind[Kind.COMMANDS])
        policy = self._policy(by_kind[Kind.POLICY])
        context = PlaybookContext(self.actions, commands, inventory, self.sources.roles)
        parameters, playbooks = self._playbooks(by_kind[Kind.PLAYBOOK], context)
        lacking = {name: policy.declared - each.declares for name, each in playbooks.items()}
        rules = self._rules(by_kind[Kind.RULES], parameters, inventory, lacking)
        are_whole = parameters.keys() == playbooks.keys()
        # What ships is tested as it ships: the user's playbook of that name may have other steps.
        replaces = any(not each.shipped for each in by_kind[Kind.PLAYBOOK])
        tests = [each for each in by_kind[Kind.REHEARSALS] if not (replaces and each.shipped)]
        self._rehearsals(tests, playbooks if are_whole else None)
        texts = _texts(files, self.sources)
        hashes = {name: sha256_hex(text) for name, text in texts.items()}
        return Catalog(
            version=catalog_version(hashes),
            files=hashes,
            texts={hashes[name]: text for name, text in texts.items()},
            rules=rules,
            playbooks=playbooks,
            estate=Estate(commands, inventory.targets, connections),
            inventory=inventory,
            policy=policy,
        )

    def _inventory(self, files: Sequence[SourceFile]) -> tuple[Inventory, Mapping[str, str]]:
        inventory = Inventory()
        for file in files:
            parsed = parse(file, InventoryDocument, self.findings)
            if parsed is None or parsed.dropped:
                self._unread |= {"target", "service", "connection"}
            if parsed is not None:
                inventory = build_inventory(parsed.document, parsed.mistakes)
                self.findings += parsed.findings()
        uses = {name: connection.uses for name, connection in inventory.connections.items()}
        return replace(inventory, secrets=self.sources.secrets), uses

    def _commands(self, files: Sequence[SourceFile]) -> Mapping[str, CommandDocument]:
        commands: dict[str, CommandDocument] = {}
        for file in files:
            parsed = parse(file, CommandsDocument, self.findings)
            if parsed is None or parsed.dropped:
                self._unread |= {"command", "argument"}
            if parsed is None:
                continue
            check_commands(parsed.document.commands, parsed.mistakes)
            for name, command in parsed.document.commands.items():
                here = parsed.mistakes.at("commands", name)
                if self._counts(f"command {name!r}", file, here):
                    commands[name] = command
            self.findings += parsed.findings()
        return commands

    def _policy(self, files: Sequence[SourceFile]) -> Policy:
        policy = Policy()
        for file in files:
            parsed = parse(file, PolicyDocument, self.findings)
            if parsed is not None:
                policy = compile_policy(parsed.document, parsed.mistakes)
                self.findings += parsed.findings()
        return policy

    def _playbooks(
        self, files: Sequence[SourceFile], context: PlaybookContext
    ) -> tuple[Mapping[str, Mapping[str, TypedParameter] | None], Mapping[str, Playbook]]:
        """The parameters of every playbook (None where its file isn't one), and the playbooks."""
        parameters: dict[str, Mapping[str, TypedParameter] | None] = {}
        written: dict[str, Parsed[PlaybookDocument]] = {}
        read = [(file, parse(file, PlaybookDocument, self.findings)) for file in files]
        for file, parsed in read:
            if parsed is None:
                # Who names it has no mistake of its own.
                parameters.setdefault(file.stem, None)
                continue
            document, mistakes = parsed.document, parsed.mistakes
            if document.id != file.stem:
                mistakes.at("id").add(
                    f"the id {document.id!r} and the file's name {file.stem!r} must be the same"
                )
            if self._counts(f"playbook {document.id!r}", file, mistakes.at("id")):
                written[document.id] = parsed
                own = compile_parameters(document, context.inventory, Mistakes())
                parameters[document.id] = own
        context = replace(context, playbooks=parameters)
        compiled = WrittenPlaybooks(written).compile_all(context)
        for name, playbook in compiled.items():
            if playbook is not None:
                of = written[name]
                check_possible(of.document, playbook, context, of.mistakes)
        for _, parsed in read:
            if parsed is not None:
                self.findings += parsed.findings(self._unread)
        return parameters, {name: each for name, each in compiled.items() if each is not None}

    def _rules(
        self,
        files: Sequence[SourceFile],
        playbooks: Mapping[str, Mapping[str, TypedParameter] | None],
        inventory: Inventory,
        lacking: Mapping[str, frozenset[str]],
    ) -> RuleSet:
        rules: list[Rule] = []
        ids: set[str] = set()
        for file in files:
            parsed = parse(file, RulesDocument, self.findings)
            if parsed is None:
                continue
            for index, document in enumerate(parsed.document.rules):
                here = parsed.mistakes.at("rules", index)
                ids.add(document.id)
                if not self._counts(f"rule {document.id!r}", file, here.at("id")):
                    continue
                overlay = self.sources.overlay.get(document.id)
                if overlay is not None and not overlay.enabled:
                    continue
                context = RuleContext(
                    file=file.name,
                    defaults=parsed.document.defaults,
                    playbooks=playbooks,
                    inventory=inventory,
                    caps=caps_of(file, document, self.sources),
                    lacking=lacking,
                )
                rule = compile_rule(overlaid(document, overlay), context, here)
                if rule is not None:
                    rules.append(rule)
            self.findings += rule_findings(parsed, self.sources)
        self.findings += unknown_rules(self.sources, ids)
        # Stable: whatever takes everything is asked last, the user's before the shipped.
        return RuleSet(sorted(rules, key=lambda rule: rule.is_catch_all))

    def _rehearsals(
        self, files: Sequence[SourceFile], playbooks: Mapping[str, Playbook] | None
    ) -> None:
        """Check the tests; without playbooks (one has mistakes) not what they name."""
        known = playbooks or {}
        steps = {name: playbook.step_ids for name, playbook in known.items()}
        outputs: dict[str, set[str]] = {}
        for step in chain.from_iterable(playbook.calls for playbook in known.values()):
            outputs.setdefault(step.id, set()).update(self.actions[step.uses].outputs)
        for file in files:
            parsed = parse(file, RehearsalsDocument, self.findings)
            if parsed is not None:
                check_rehearsals(parsed.document, parsed.mistakes)
                if playbooks is not None:
                    check_names(parsed.document, steps, parsed.mistakes)
                    check_results(parsed.document, outputs, parsed.mistakes)
                self.findings += parsed.findings()

    def _counts(self, what: str, file: SourceFile, mistakes: Mistakes) -> bool:
        """Whether this one is used: the user's replaces the shipped, others may not repeat."""
        owner = self._owners.setdefault(what, file)
        if owner.shipped != file.shipped:
            return False
        if what in self._seen:
            mistakes.add(f"{what} is already in {owner.path}; each is written once")
        self._seen.add(what)
        return True
