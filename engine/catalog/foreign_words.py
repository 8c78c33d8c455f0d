"""Words of Ansible, Alertmanager, Prometheus and GitHub, answered with the right ones."""

from collections.abc import Iterator, Mapping

from engine.catalog.sources import Kind
from engine.catalog.yaml_nodes import MappingNode, Node, SequenceNode
from engine.core.findings import Finding

_RULES_FILE = {
    "groups": "the list of rules is `rules` here, without groups",
    "route": "a rule says itself whom it tells: `notify`",
    "inhibit_rules": "a rule says itself what inhibits it: `inhibited_by`",
    "receivers": "who is told is configured in quell.yaml under `people`",
}
_RULE = {
    "name": "it is `id` here, and `description` for people",
    "alert": 'it is `id` here; the alert\'s name is a matcher: alertname="..."',
    "alertname": "it is a matcher here: matchers: ['alertname=\"...\"']",
    "match": "it is `matchers` here, a list like ['alertname=\"...\"']",
    "match_re": "it is `matchers` here, a list like ['service=~\"llm-.+\"']",
    "labels": "alerts are told apart by `matchers`; how bad it is says `severity`",
    "annotations": "it is `description` here",
    "expr": "Prometheus evaluates expressions; here `matchers` and `when` look at its alerts",
    "if": "it is `when` here",
    "condition": "it is `when` here",
    "conditions": "it is `when` here",
    "priority": "it is `severity` here, P1 to P4",
    "receiver": "it is `notify` here",
    "routes": "rules are a flat list: the first that holds takes the alert",
    "run": "it is `playbook` here, with its parameters in `with`",
    "action": "it is `playbook` here, with its parameters in `with`",
    "actions": "it is `playbook` here, with its parameters in `with`",
    "uses": "it is `playbook` here; actions belong to the steps of a playbook",
    "steps": "they belong to a playbook of their own, which `playbook` names",
    "params": "it is `with` here",
    "parameters": "it is `with` here",
    "args": "it is `with` here",
    "vars": "it is `with` here",
    "on": "it is `matchers` here",
    "cron": "rules start from alerts; there is no schedule",
    "schedule": "rules start from alerts; there is no schedule",
}
_INHIBITION = {
    "source_matchers": "it is `matchers` here: the alert that holds the rule's own ones back",
    "source_match": "it is `matchers` here: the alert that holds the rule's own ones back",
    "target_matchers": "they are the rule's own `matchers`",
    "target_match": "they are the rule's own `matchers`",
}
_SECRETS = dict.fromkeys(
    ("secrets", "vault", "vars_files", "secretKeyRef", "valueFrom", "envFrom"),
    "a secret is a parameter here: parameters: {token: {type: secret}}; quell.yaml has its name",
)
_PLAYBOOK = {
    "name": "it is `id` here, and `description` for people",
    "hosts": "a host is a parameter here: parameters: {host: {type: target, kind: host}}",
    "tasks": "it is `steps` here",
    "jobs": "it is `steps` here",
    "handlers": "it is `steps` here, with `if`",
    "pre_tasks": "it is `investigate` here, which only reads",
    "post_tasks": "it is `verify` here",
    "vars": "it is `parameters` here, each with a type",
    "params": "it is `parameters` here, each with a type",
    "input": "it is `parameters` here, each with a type",
    "inputs": "it is `parameters` here, each with a type",
    "env": "it is `parameters` here, each with a type",
    "version": "`language: 1` says it; what a playbook was before, your repository keeps",
    "on": "a rule starts a playbook: see rules/",
    "trigger": "a rule starts a playbook: see rules/",
    "triggers": "a rule starts a playbook: see rules/",
    "cron": "a rule starts a playbook: see rules/; there is no schedule",
    "schedule": "a rule starts a playbook: see rules/; there is no schedule",
    "matchers": "they belong to a rule: see rules/",
    "severity": "it belongs to a rule: see rules/",
    "mode": "it is `max_mode` here; the mode itself belongs to a rule",
    "become": "a command says so itself: argv: [sudo, ...] in commands.yaml",
    "runs-on": "a host is a parameter here: parameters: {host: {type: target, kind: host}}",
    "rollback": "it belongs to the step that it undoes",
    "rescue": "it is `rollback` here, at the step that it undoes",
    **_SECRETS,
}
_PARAMETER = {
    "required": "a parameter without `default` is required",
    "options": "it is `values` here, with `type: enum`",
    "choices": "it is `values` here, with `type: enum`",
    "enum": "it is `values` here, with `type: enum`",
    "regex": "it is `pattern` here, which the whole value must match",
    "min": "it is `minimum` here",
    "max": "it is `maximum` here",
    **dict.fromkeys(
        ("secret", "sensitive", "no_log", "private", "secretKeyRef", "valueFrom", "vault"),
        "it is `type: secret` here; its value is a name, which quell.yaml has under `secrets`",
    ),
}
_STEP = {
    "name": "it is `id` here, and `description` for people",
    "when": "it is `if` here",
    "run": "there is no free shell: uses: ssh.run, with a `command` of commands.yaml",
    "shell": "there is no free shell: uses: ssh.run, with a `command` of commands.yaml",
    "script": "there is no free shell: uses: ssh.run, with a `command` of commands.yaml",
    "command": "it belongs to `with`: uses: ssh.run, with: {host: ..., command: ...}",
    "cmd": "it belongs to `with`: uses: ssh.run, with: {host: ..., command: ...}",
    "action": "it is `uses` here",
    "module": "it is `uses` here",
    "type": "it is `uses` here",
    "args": "it is `with` here",
    "params": "it is `with` here",
    "parameters": "it is `with` here",
    "inputs": "it is `with` here",
    "vars": "it is `with` here",
    "env": "it is `with` here",
    "register": "outputs are kept by the step's `id`: steps.<id>.<output>",
    "outputs": "outputs follow from the action: steps.<id>.<output>",
    "retries": "it is `retry: {attempts: ..., wait: ...}` here",
    "delay": "it is `retry: {attempts: ..., wait: ...}` here, or `every` beside `until`",
    "ignore_errors": "it is `required: false` here",
    "continue-on-error": "it is `required: false` here",
    "continue_on_error": "it is `required: false` here",
    "failed_when": "a command fails by its exit code; what must hold belongs to `verify`",
    "changed_when": "what a command does says its `effect` in commands.yaml",
    "become": "a command says so itself: argv: [sudo, ...] in commands.yaml",
    "timeout-minutes": "it is `timeout` here, like '10m'",
    "needs": "steps run one after another in the order of the file",
    "depends_on": "steps run one after another in the order of the file",
    "notify": "whom to tell belongs to a rule",
    "host": "it belongs to `with`",
    "target": "it belongs to `with`",
    "undo": "it is `rollback` here",
    "rescue": "what undoes a step is its `rollback`; what follows a failure has `if: failure()`",
    "always": "what follows in any case is a step with `if: always()`",
    "on_failure": "it belongs to the playbook; here `if: failure()` on a step of its own",
    "on_cancel": "it belongs to the playbook",
    "next": "steps run one after another in the order of the file",
    "on_success": "steps run one after another in the order of the file",
    "wait_for": "what must become true is `until` of a step of `verify`; a time is `wait: 30s`",
    "loop": "it is `foreach` here, with `steps` beside it: foreach: {in: [...], as: host}",
    "with_items": "it is `foreach` here, with `steps` beside it: foreach: {in: [...], as: host}",
    "for_each": "it is `foreach` here, with `steps` beside it: foreach: {in: [...], as: host}",
    "block": "it is `steps` here, beside `foreach`",
    "strategy": "it is `foreach` here, whose `serial` says how many items are done at once",
    "serial": "it belongs into `foreach`",
    "branches": "it is `parallel` here: a list of steps, or of {id: ..., steps: [...]}",
    "matrix": "it is `foreach` here, with `steps` beside it: foreach: {in: [...], as: host}",
    "async": "what goes on at once stands in `parallel`",
    "import_playbook": "it is `call` here, with the playbook's parameters in `with`",
    "include": "it is `call` here, with the playbook's parameters in `with`",
    "include_tasks": "it is `call` here, with the playbook's parameters in `with`",
    "prompt": "it is `ask` here, a step of its own: ask: {question: ..., choices: [...]}",
    "vars_prompt": "it is `ask` here, a step of `investigate`",
    "sleep": "it is `wait` here, a step of its own: {id: settle, wait: 30s}",
    "pause": "it is `wait` here for a time, {id: settle, wait: 30s}, and `ask` for people",
    "revert": "it belongs to the playbook: revert: {after: 2h}",
    "no_log": "secrets are taken out of all that is kept and told",
    **_SECRETS,
}
_ASK = {
    "prompt": "it is `question` here",
    "message": "it is `question` here",
    "text": "it is `question` here",
    "options": "it is `choices` here",
    "values": "it is `choices` here",
    "timeout": "it is `expires` here",
}
_COMMAND = {
    "name": "the key above is the command's name",
    "command": "it is `argv` here, one element an argument: [systemctl, restart, vllm]",
    "cmd": "it is `argv` here, one element an argument: [systemctl, restart, vllm]",
    "run": "it is `argv` here, one element an argument: [systemctl, restart, vllm]",
    "shell": "it is `argv` here, one element an argument, and no shell reads it",
    "params": "it is `args` here, each with a type",
    "parameters": "it is `args` here, each with a type",
    "idempotent": "it is `repeat` here: harmless, probe or never",
    "timeout": "it belongs to the step that uses the command",
}


def foreign_words(kind: Kind, root: Node) -> list[Finding]:
    """A finding at each key that another tool knows under another word than quell.

    It counts where the key is unknown here.
    """
    return [
        Finding(
            key.source.file, key.line, key.column, f"unknown key {key.text!r}: {table[key.text]}"
        )
        for mapping, table in _mappings(kind, root)
        for key, _ in mapping.entries
        if key.text in table
    ]


def _mappings(kind: Kind, root: Node) -> Iterator[tuple[MappingNode, Mapping[str, str]]]:
    match kind:
        case Kind.RULES:
            yield from _of(root, _RULES_FILE)
            for rule in _elements(root, "rules"):
                yield from _of(rule, _RULE)
                entry = rule.entry("inhibited_by") if isinstance(rule, MappingNode) else None
                if entry is not None:
                    yield from _of(entry[1], _INHIBITION)
        case Kind.PLAYBOOK:
            yield from _of_playbook(root)
        case Kind.COMMANDS:
            for command in _values(root, "commands"):
                yield from _of(command, _COMMAND)
        case Kind.INVENTORY | Kind.POLICY | Kind.REHEARSALS | Kind.MAPPING:
            return


def _of_playbook(root: Node) -> Iterator[tuple[MappingNode, Mapping[str, str]]]:
    yield from _of(root, _PLAYBOOK)
    for parameter in _values(root, "parameters"):
        yield from _of(parameter, _PARAMETER)
    for step in _steps(root):
        yield from _of(step, _STEP)
        if isinstance(step, MappingNode) and (ask := step.entry("ask")) is not None:
            yield from _of(ask[1], _ASK)


def _steps(root: Node) -> Iterator[Node]:
    for part in ("investigate", "steps", "verify", "on_cancel"):
        for step in _elements(root, part):
            yield step
            yield from _elements(step, "rollback")
            for inner in _elements(step, "steps"):
                yield inner
                yield from _elements(inner, "rollback")


def _of(node: Node, table: Mapping[str, str]) -> Iterator[tuple[MappingNode, Mapping[str, str]]]:
    if isinstance(node, MappingNode):
        yield node, table


def _values(node: Node, name: str) -> Iterator[Node]:
    """What stands under the keys of a mapping in it."""
    entry = node.entry(name) if isinstance(node, MappingNode) else None
    if entry is not None and isinstance(entry[1], MappingNode):
        yield from (value for _, value in entry[1].entries)


def _elements(node: Node, name: str) -> tuple[Node, ...]:
    entry = node.entry(name) if isinstance(node, MappingNode) else None
    return entry[1].elements if entry is not None and isinstance(entry[1], SequenceNode) else ()
