"""Names and labels of everything that tpbox makes, in Docker and in the cluster.

    session = names.new_session_id()                     # "qhwzkbtd"
    names.of(session)                                    # "tpbox-qhwzkbtd"
    names.labels(Role.HELPER, session, names.owner())    # what every object carries

Things are found again by label, never by the pattern of a name.
"""

from __future__ import annotations

import getpass
import hashlib
import re
import secrets
import socket
import string
from enum import StrEnum

SESSION = "tpbox.dev/session"
OWNER = "tpbox.dev/owner"
ROLE = "tpbox.dev/role"
MANAGED_BY = "app.kubernetes.io/managed-by"

ID_LENGTH = 8
LABEL_LENGTH = 63  # https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/


class Role(StrEnum):
    HELPER = "helper"
    APP = "app"
    PROXY_POD = "proxy-pod"
    CLUSTER = "cluster"
    IMAGE = "image"
    MOVER = "mover"
    VOLUME = "volume"
    SWAP = "swap"
    GUARD = "guard"


def new_session_id() -> str:
    """Eight lower-case letters: 38 bits, valid wherever a name is."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(ID_LENGTH))


def of(session: str, part: str = "") -> str:
    """The name of a session's object: `tpbox-ID`, or `tpbox-ID-PART`."""
    return f"tpbox-{session}-{part}" if part else f"tpbox-{session}"


def owner() -> str:
    """Who starts sessions here, as people write it: `user@host`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


def owner_label(owner: str) -> str:
    """`owner` as a label value. The hash keeps apart what the reduction makes equal."""
    digest = hashlib.sha256(owner.encode()).hexdigest()[:6]
    reduced = re.sub(r"[^A-Za-z0-9_.-]+", ".", owner).strip("._-")
    return f"{reduced[: LABEL_LENGTH - len(digest) - 1].rstrip('._-')}.{digest}".lstrip(".")


def labels(role: Role, session: str = "", owner: str = "") -> dict[str, str]:
    """The labels of an object of `role`; the embedded cluster and images have no session and no owner."""
    found = {MANAGED_BY: "tpbox", ROLE: str(role)}
    if session:
        found[SESSION] = session
    if owner:
        found[OWNER] = owner_label(owner)
    return found
