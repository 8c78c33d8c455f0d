"""The parts of Azure's ids, in whatever case and however deep."""

import pytest

from connectors.sources.azure_monitor.resource_ids import AlertId, alert_id, resource_id

NAME = "66114d64-d9d9-478b-95c9-b789d6502100"
SUBSCRIPTION = "aaaa0a0a-bb1b-cc2c-dd3d-eeeeee4e4e4e"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/subscriptions/S/resourceGroups/G/providers/A.B/vms/N", ("s", "g", "a.b/vms", "n")),
        ("/Subscriptions/S/RESOURCEGROUPS/G/Providers/A.B/vms/N/", ("s", "g", "a.b/vms", "n")),
        (
            "/subscriptions/s/resourceGroups/g/providers/a.sql/servers/x/databases/y",
            ("s", "g", "a.sql/servers/databases", "y"),
        ),
        (
            "/subscriptions/s/resourceGroups/g/providers/a/b/c/providers/d/e/f",
            ("s", "g", "d/e", "f"),
        ),
        ("/subscriptions/s/providers/a/budgets/b", ("s", "", "a/budgets", "b")),
        ("/subscriptions/s", ("s", "", "", "")),
        ("/subscriptions/s/resourceGroups/g", ("s", "g", "", "")),
        ("/subscriptions/s/providers/a/b", ("s", "", "a/b", "")),
        ("/subscriptions/s/providers", ("s", "", "", "")),
        ("/subscriptions", ("", "", "", "")),
        ("budgets", ("", "", "", "")),
        ("", ("", "", "", "")),
    ],
)
def test_parts(text: str, parts: tuple[str, str, str, str]) -> None:
    found = resource_id(text)
    assert (found.subscription, found.group, found.type, found.name) == parts
    assert found.text == (text.lower().rstrip("/") if text.startswith("/") else "")


@pytest.mark.parametrize("name", [NAME, NAME.replace("-", "")])
@pytest.mark.parametrize("between", ["", "/resourceGroups/g/providers/a/b/c"])
def test_an_alert_s_id_has_a_subscription_and_a_name(name: str, between: str) -> None:
    text = f"/subscriptions/{SUBSCRIPTION}{between}/providers/Microsoft.AlertsManagement/alerts/"
    assert alert_id(text + name.upper()) == AlertId(SUBSCRIPTION, name)


@pytest.mark.parametrize("text", ["", "x", f"/subscriptions/{SUBSCRIPTION}", f"/{NAME}\n"])
def test_what_is_no_alert_s_id(text: str) -> None:
    assert alert_id(text) is None
