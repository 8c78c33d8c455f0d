"""The page about CloudWatch: its settings, labels and permissions are the real ones."""

import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import yaml

from connectors.sources.cloudwatch import AccountConfig, CloudwatchConfig
from connectors.sources.cloudwatch.alarms import OWN_LABELS
from connectors.sources.cloudwatch.config import CloudwatchLabels

PAGE = Path(__file__).parents[4] / "docs" / "sources" / "cloudwatch.md"
CODE = Path(__file__).parents[4] / "connectors" / "sources" / "cloudwatch"
# Actions whose operation has another name.
BATCHED = {"DeleteMessage": "DeleteMessageBatch"}


def samples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_samples_of_quell_s_own_settings_are_sources() -> None:
    found = []
    for sample in samples("yaml"):
        [(name, settings)] = yaml.safe_load(sample)["sources"].items()
        assert settings.pop("uses") == "cloudwatch"
        found.append(CloudwatchConfig.model_validate({"name": name, **settings}))
    by_queue, by_sns = found
    assert len(by_queue.aws[0].queues) == len(by_sns.topics) == 1


def test_every_setting_and_label_is_on_the_page() -> None:
    text = PAGE.read_text()
    for setting in CloudwatchConfig.model_fields:
        assert f"| `{setting}` |" in text
    for setting in AccountConfig.model_fields:
        assert f"`aws.{setting}`" in text
    for _, labels in CloudwatchLabels():
        assert ", ".join(f"`{label}`" for label in labels) in text
    for label in OWN_LABELS:
        assert f"`{label}`" in text


def test_the_role_may_do_what_is_done_and_nothing_else() -> None:
    role, _topic = (json.loads(sample) for sample in samples("json"))
    allowed = {
        action.partition(":")[::2]
        for statement in role["Statement"]
        for action in as_list(statement["Action"])
    }
    source = "\n".join(path.read_text() for path in CODE.glob("*.py"))
    done = set()
    for service in ("cloudwatch", "sqs", "sns"):
        model: Any = botocore.session.get_session().get_service_model(service)
        for operation in model.operation_names:
            called = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
            if f'"{called}"' in source:
                done.add((service, operation))
    assert {(service, BATCHED.get(action, action)) for service, action in allowed} == done


def as_list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else value
