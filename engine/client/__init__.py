"""The typed HTTP client by which the CLI talks to a running server."""
