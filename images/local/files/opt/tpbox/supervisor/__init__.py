"""The helper's supervisor: it keeps one network namespace joined to one Pod.

Commands come in on stdin and events go out on stdout, a JSON object a line each (docs/architecture.md, "The control
channel"). The end of stdin, `stop` and SIGTERM end it with 0; a first link that cannot be made ends it with 1. It is
PID 1 of a helper that the launcher attaches to, or is started by `docker exec` in one whose PID 1 is `stand`.

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
    localnames  the names of a Compose project's own networks
    resolver    a DNS forwarder, where names outside the cluster, or those of Compose, stay local
    health      the file that a healthcheck looks for
    children    the one door to other programs
    init        PID 1
    stand       PID 1 of a helper that is adopted, and how it knows of its supervisor
"""

from __future__ import annotations

import asyncio
import sys

from supervisor import init, session, stand


def main() -> int:
    """Supervises until the end and returns the exit code; 1 where another supervisor holds the helper."""
    if not stand.stands():
        return init.run(_serve)
    try:
        with stand.held():
            return _serve()  # in this very process: what is killed has to be what holds the helper
    except stand.Taken as error:
        sys.stderr.write(f"tpbox: {error}\n")
        return 1


def _serve() -> int:
    return asyncio.run(session.serve())
