"""Fixtures that every test may use: the real services, each started when first asked for."""

pytest_plugins = [
    "tests.doubles.world",
    "tests.doubles.fixtures",
    "tests.services.alertmanager",
    "tests.services.kafka",
    "tests.services.postgres",
    "tests.services.secured_kafka",
    "tests.services.secured_postgres",
    "tests.services.stores",
    "tests.services.streams",
    "tests.services.prometheus",
    "tests.services.ssh_host",
]
