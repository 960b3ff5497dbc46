"""What is outside the cluster, and stays local: by address for the engine and the filter, by name for the resolver.

    outside = Outside()                                    # before the namespace's resolver is overwritten
    outside.configured(configure.engine.outside)
    await netns.close_off(bypass, outside.carried)
    ...
    await outside.linked(configure, info)                  # on each link: what only the pod knows
    await netns.resemble(outside.resembled(info))
    ...
    await outside.work()                                   # the forwarder of names, where names are split

What was learned from the pod outlives the link, so that while it is down nothing of the cluster leaves by the bridge.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from supervisor import children, link, localnames, netns, questions, resolver
from supervisor.carried import Address, Carried, Network, Wanted
from supervisor.children import CommandError
from supervisor.localnames import LocalNames
from supervisor.protocol import Configure
from supervisor.questions import Split
from supervisor.resolver import Ask

RESOLVE_TIMEOUT = 8.0  # seconds


class OutsideError(Exception):
    """What was asked for cannot be: the text says it, `detail` why or what mends it."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class Outside:
    """`carried` is what holds now."""

    def __init__(self) -> None:
        self.carried = Carried()
        self._resolvers = local_resolvers()
        self._wanted = Wanted()
        self._pods: tuple[Network, ...] = ()
        self._also: dict[str, tuple[str, ...]] = {}
        self._nameservers: list[str] = []
        self._split: Split | None = None
        self._local_names = LocalNames()
        self._splitting = asyncio.Event()

    def configured(self, wanted: Wanted) -> None:
        self._wanted = wanted
        also = [ipaddress.ip_network(address) for found in self._also.values() for address in found]
        self.carried = Carried(
            only=(*wanted.only, *self._pods, *also) if wanted.only else (),
            never=wanted.never,
            # Docker's own, on the loopback, needs no way out.
            resolvers=tuple(r for r in self._resolvers if not r.is_loopback) if wanted.forwards else (),
        )

    async def linked(self, configure: Configure, info: Mapping[str, Any]) -> Carried:
        """What is carried over the link that is up. Raises OutsideError."""
        wanted = configure.engine.outside
        self._nameservers = netns.nameservers(info["resolvConf"])
        check_nameservers(self._nameservers, wanted)
        self._pods = own_networks([info["podIP"], *info.get("podIPs", ())], self._nameservers)
        if wanted.also:
            await self._resolve(wanted.also, [end.address for end in configure.engine.bypass])
        self.configured(wanted)
        if wanted.forwards:
            self._split = Split.of(info["resolvConf"], wanted, self.carried)
            self._local_names = LocalNames(wanted.local_names, questions.search(info["resolvConf"]))
            self._splitting.set()
        return self.carried

    def resembled(self, info: Mapping[str, Any]) -> dict[str, Any]:
        """The pod's info with the resolver and hosts file that the process is to have."""
        named = {**self._also, **self._wanted.hosts}  # --never-proxy wins
        resolv_conf = info["resolvConf"]
        if self._wanted.local_names:
            resolv_conf = with_domain(resolv_conf)
        if self._wanted.forwards:
            resolv_conf = with_resolver(resolv_conf)
        return {**info, "hosts": with_hosts(info["hosts"], named), "resolvConf": resolv_conf}

    async def work(self) -> NoReturn:
        """Runs the forwarder, from the first link with local names on. Raises OutsideError."""
        await self._splitting.wait()
        try:
            await resolver.serve(self.answer)
        except OSError as error:
            raise OutsideError(
                f"local names: the helper cannot listen on {resolver.ADDRESS}:{resolver.PORT} of its loopback",
                str(error),
            ) from error

    async def answer(self, query: bytes, ask: Ask) -> bytes:
        """The answer to a query; `ask` asks one resolver."""

        async def forward(query: bytes) -> bytes:
            return await resolver.answered(query, self.choose, ask)

        if not self._wanted.local_names:
            return await forward(query)
        return await self._local_names.answered(query, forward)

    def choose(self, name: str) -> Sequence[str]:
        """Who is asked for a name."""
        if self._split is None or self._split.is_the_pods(name):
            return self._nameservers
        return [str(address) for address in self._resolvers]

    async def _resolve(self, names: Sequence[str], servers: Sequence[Address]) -> None:
        """The names' addresses as the pod sees them. On a later link those of an earlier one do, too."""
        try:
            async with asyncio.timeout(RESOLVE_TIMEOUT):
                answer = await children.run(resolve_argv(names), env=link.environment())
            self._also = resolved(names, json.loads(answer), servers)
        except (CommandError, TimeoutError, ValueError, OutsideError) as error:
            if not self._also:
                if isinstance(error, OutsideError):
                    raise
                raise OutsideError(
                    f"--also-proxy: the pod cannot be asked for {', '.join(names)}", str(error)
                ) from error
            sys.stderr.write(f"names: {error}; the addresses of the link before stay\n")


def local_resolvers() -> tuple[Address, ...]:
    """Those that Docker gave the namespace, as long as the file is Docker's."""
    try:
        text = netns.RESOLV_CONF.read_text()
    except OSError:
        return ()
    words = (line.split() for line in text.splitlines())
    found = [found[1] for found in words if len(found) > 1 and found[0] == "nameserver"]
    return tuple(address for text in found if (address := _address(text)))


def own_networks(pod_ips: Sequence[str], nameservers: Sequence[str]) -> tuple[Network, ...]:
    """The pod's own addresses and its resolver count as the cluster, wherever they are."""
    return tuple(ipaddress.ip_network(text) for text in dict.fromkeys((*pod_ips, *nameservers)) if _address(text))


def check_nameservers(nameservers: Sequence[str], wanted: Wanted) -> None:
    """Raises OutsideError where the process could not ask the pod's resolver."""
    for server in map(ipaddress.ip_address, nameservers):
        for network in wanted.never:
            if server in network and wanted.local_names:
                raise OutsideError(
                    f"the Compose network {network} covers the pod's name server {server}",
                    "Give it a subnet that the cluster does not have, for instance: "
                    "networks: {default: {ipam: {config: [{subnet: 172.31.250.0/24}]}}}",
                )
            if server in network:
                raise OutsideError(
                    f"--never-proxy {network} covers the pod's name server {server}",
                    "Without it no name of the cluster can be had: name a smaller network.",
                )


def resolve_argv(names: Sequence[str]) -> list[str]:
    """ssh hands the words to a shell, joined."""
    return [*link.ssh_argv(), link.HOST, shlex.join(["/usr/bin/python3", "-I", "/opt/tpbox", "resolve", *names])]


def resolved(names: Sequence[str], answer: Mapping[str, Any], servers: Sequence[Address]) -> dict[str, tuple[str, ...]]:
    """The IPv4 addresses in the agent's answer; `servers` are the API server's. Raises OutsideError."""
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        known = answer.get("addresses", {}).get(name, [])
        found[name] = tuple(text for text in known if (address := _address(text)) and address.version == 4)
        if not known:
            why = answer.get("errors", {}).get(name, "it has no address")
            raise OutsideError(f"--also-proxy: '{name}' does not resolve in the pod", str(why))
        if not found[name]:
            raise OutsideError(
                f"--also-proxy: '{name}' has IPv6 addresses alone, which are not carried", ", ".join(known)
            )
        if taken := next((server for server in servers if str(server) in found[name]), None):
            raise OutsideError(
                f"--also-proxy: '{name}' is the API server's address {taken}",
                "The helper itself reaches it, always directly: the tunnel hangs on it.",
            )
    return found


def with_resolver(resolv_conf: str) -> str:
    """A resolv.conf with the forwarder as its one name server; search list and options stay."""
    lines = [line for line in resolv_conf.splitlines() if line.split()[:1] != ["nameserver"]]
    return "\n".join([f"nameserver {resolver.ADDRESS}", *lines, ""])


def with_domain(resolv_conf: str) -> str:
    """A resolv.conf whose search list begins with the domain of the local names."""
    lines = [line for line in resolv_conf.splitlines() if line.split()[:1] not in (["search"], ["domain"])]
    return "\n".join([*lines, " ".join(["search", localnames.DOMAIN, *questions.search(resolv_conf)]), ""])


def with_hosts(hosts: str, named: Mapping[str, Sequence[str]]) -> str:
    """A hosts file in which these names have these addresses: above the others, since the first line counts."""
    return "".join(f"{address}\t{name}\n" for name, found in named.items() for address in found) + hosts


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
