"""Read-only actions: what a playbook looks at before and after a change."""
