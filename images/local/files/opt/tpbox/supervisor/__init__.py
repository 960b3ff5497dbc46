"""The helper's supervisor: it keeps one network namespace joined to one Pod.

Commands come in on stdin and events go out on stdout, a JSON object a line each (docs/architecture.md, "The control
channel"). The end of stdin, `stop` and SIGTERM end it with 0; a first link that cannot be made ends it with 1.

    protocol    the commands and events
    session     the loop: link, remote info, engine, and anew with a back-off
    link        kubectl port-forward, ssh, the heartbeat
    standing    what the agent is told besides: ready or not, and the guard
    engine      what carries the namespace's traffic: one of
    netstack    our own program, by a TUN device, with
    routing     the rules that lead there, or
    sshuttle    TCP and DNS, by iptables and ssh
    volumes     sshfs and the copier
    readahead   of the kernel, for the mount
    inbound     the pod's ports that lead here: which, when, and whether the process is ready
    listeners   who listens in the namespace
    forwards    ssh forwards that come and go
    host        the namespace's ports that lead to the launcher's machine
    netns       addresses, resolver, hosts file and firewall of the namespace
    carried     what the tunnel carries, and what stays local
    outside     the same with what only the pod knows: its resolver, names' addresses there
    questions   whose answer a question for a name is: the pod's resolver's, or the laptop's
    resolver    a DNS forwarder, where names outside the cluster stay local
    children    the one door to other programs
    init        PID 1
"""

from __future__ import annotations

import asyncio

from supervisor import init, session


def main() -> int:
    """Supervises until the end and returns the exit code."""
    return init.run(lambda: asyncio.run(session.serve()))
