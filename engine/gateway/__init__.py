"""HTTP in: alert webhooks, durable before any answer, the REST API, health and metrics."""
