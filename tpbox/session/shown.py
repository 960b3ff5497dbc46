"""What `tpbox status` shows of a session that lives: written at each change, gone with the session's record.

shown = Shown(session, plan.inbound.exposed)
shown.link_is_up.set()
shown.listening = (80,)
shown.publish(pod, reconnects)
shown.remove(record)
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from tpbox.plan.inbound import Expose
from tpbox.state import Exposed, LiveState, SessionRecord


class Shown:
    """`listening`: the pod's ports behind which the process answers."""

    def __init__(self, session: str, exposed: Sequence[Expose]) -> None:
        self.link_is_up = threading.Event()
        self.listening: tuple[int, ...] = ()
        self._session = session
        self._exposed = exposed
        self._publishing = threading.Lock()  # events have a thread of their own

    def publish(self, pod: str, reconnects: int) -> None:
        """Writes it down."""
        with self._publishing:
            LiveState(
                session=self._session,
                pod=pod,
                link="up" if self.link_is_up.is_set() else "down",
                reconnects=reconnects,
                exposed=tuple(Exposed(e.local, e.remote, e.remote in self.listening) for e in self._exposed),
            ).save()

    def remove(self, record: SessionRecord) -> None:
        """With the record; nothing is written behind it."""
        with self._publishing:
            record.remove()
