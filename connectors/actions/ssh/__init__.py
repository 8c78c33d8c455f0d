"""Named commands on hosts over SSH: `ssh.read` and `ssh.run`."""

from connectors.actions.ssh.actions import SshAction, ssh_actions
from connectors.actions.ssh.connections import SshConfig

__all__ = ["SshAction", "SshConfig", "ssh_actions"]
