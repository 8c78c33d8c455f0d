"""What the stories share: an endpoint on a real host, and a quell between watchers and people."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.doubles.jira_server import JiraServer
from tests.doubles.slack_server import SlackServer
from tests.scenarios.endpoint import Endpoint, add_endpoint
from tests.scenarios.quell import Quell
from tests.scenarios.site import WEBHOOK_TOKEN, Site, StartSite, Watch, Watchers, sections
from tests.services.alertmanager import StartAlertmanager
from tests.services.process import free_port
from tests.services.prometheus import AlertReceiver, Prometheus, StartPrometheus
from tests.services.ssh_host import SshHost


@pytest.fixture
def endpoint(ssh_host: SshHost) -> Endpoint:
    return add_endpoint(ssh_host)


@pytest.fixture
def watch(
    endpoint: Endpoint, start_prometheus: StartPrometheus, start_alertmanager: StartAlertmanager
) -> Watch:
    def start(quell_address: str, watchers: Watchers) -> Prometheus:
        if watchers == "prometheus alone":
            receiver = AlertReceiver(quell_address, WEBHOOK_TOKEN)
        else:
            webhook = f"http://{quell_address}/v1/alerts/alertmanager"
            receiver = AlertReceiver(start_alertmanager(webhook, token=WEBHOOK_TOKEN).address)
        return start_prometheus(
            [endpoint.scraped], rules=endpoint.alerting_rules, receivers=[receiver]
        )

    return start


@pytest.fixture
def start_site(
    endpoint: Endpoint, watch: Watch, slack: SlackServer, jira: JiraServer, tmp_path: Path
) -> Iterator[StartSite]:
    with ExitStack() as running:

        def start(
            *,
            watchers: Watchers = "prometheus alone",
            environment: str = "staging",
            more: Mapping[str, object] | None = None,
        ) -> Site:
            address = f"127.0.0.1:{free_port()}"
            prometheus = watch(address, watchers)
            inventory = endpoint.inventory(prometheus.url, environment)
            settings = {**sections(tmp_path, inventory, slack, jira), **(more or {})}
            quell = Quell(tmp_path, address, settings, ["serve"])
            site = Site(endpoint, quell, slack, jira)
            running.callback(quell.stop)
            site.start_quell()
            return site

        yield start
