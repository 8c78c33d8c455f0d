"""Loopback, on which everything of the demo meets; a new network namespace has it switched off."""

import errno
import socket
import struct
import sys

from engine.demo.hosting import ADDRESS
from engine.errors import ConfigError

INTERFACE = b"lo"
# linux/sockios.h and linux/if.h
GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 0x1
REQUEST = "16sH14x"


def open_loopback() -> str:
    """Have loopback work; what had to be done for it, "" when it worked already.

    Raises ConfigError where it is switched off and this user may not switch it on.
    """
    if reachable():
        return ""
    try:
        switch_on()
    except OSError as error:
        raise ConfigError(
            f"{ADDRESS} can't be reached, and switching loopback on failed ({error.strerror}); "
            "as root: ip link set lo up"
        ) from error
    return "Loopback was off, as in a new network namespace; it is switched on now."


def reachable() -> bool:
    """Whether connections to this machine itself work."""
    with socket.socket() as listening, socket.socket() as client:
        try:
            listening.bind((ADDRESS, 0))
            listening.listen()
            client.connect(listening.getsockname())
        except OSError:
            return False
    return True


def switch_on() -> None:
    """Set the interface's flag, as `ip link set lo up` does. Raises OSError."""
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, "only Linux can be told so")
    import fcntl  # there is none on Windows, where this isn't reached

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        asked = fcntl.ioctl(control, GET_FLAGS, struct.pack(REQUEST, INTERFACE, 0))
        _, flags = struct.unpack(REQUEST, asked)
        fcntl.ioctl(control, SET_FLAGS, struct.pack(REQUEST, INTERFACE, flags | UP))
