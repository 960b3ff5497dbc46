"""Whose answer a question for a name is: the pod's resolver's, or the laptop's. Pure.

    names = Split.of(info["resolvConf"], wanted, carried)
    names.is_the_pods(questions.name(message))

Of a message (RFC 1035) only the question is read; all else passes through as it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from supervisor.carried import Address, Carried, Wanted

HEADER = 12  # bytes
LONGEST_LABEL, LONGEST_NAME = 63, 255  # bytes
RESPONSE = 0x80  # QR, in the first byte of the flags
KEPT_FLAGS = 0x79  # of that byte: opcode and RD
RECURSION_AVAILABLE = 0x80  # RA, in the second; its last four bits are the RCODE
SUCCESS, SERVER_FAILURE, NO_SUCH_NAME, REFUSED = 0, 2, 3, 5

ROOT = ""  # the domain of all names

# A pod's search list holds NAMESPACE.svc.DOMAIN: the one place that tells a pod the cluster's domain.
SERVICES = re.compile(r"[^.]+\.svc\.(?P<domain>.+)")
REVERSE_4, REVERSE_6 = ".in-addr.arpa", ".ip6.arpa"


def name(message: bytes) -> str:
    """The name that a query asks for, in lower case and without the last dot. Raises ValueError when it is no query."""
    return question(message)[0]


def answer(query: bytes, code: int, records: Sequence[bytes] = (), flags: int = 0) -> bytes:
    """An answer of our own, which has the question; `flags` are added to their first byte. Raises ValueError when it is
    no query."""
    end = question(query)[1]
    header = bytes([RESPONSE | query[2] & KEPT_FLAGS | flags, RECURSION_AVAILABLE | code])
    counts = b"\0\1" + len(records).to_bytes(2, "big") + bytes(4)
    return query[:2] + header + counts + query[HEADER:end] + b"".join(records)


def failure(query: bytes) -> bytes:
    """The answer SERVFAIL to a query. Raises ValueError when it is none."""
    return answer(query, SERVER_FAILURE)


def question(message: bytes) -> tuple[str, int]:
    """The name of the first question, and where that question ends."""
    if len(message) < HEADER or message[2] & RESPONSE or message[4:6] != b"\0\1":
        raise ValueError("not a query with one question")
    labels, at = [], HEADER
    while at < len(message) and (length := message[at]):
        # No compression: there is nothing before the question that it could point to.
        if length > LONGEST_LABEL:
            raise ValueError("a label that is none")
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1").lower())
        at += 1 + length
    if at + 5 > len(message) or at + 1 - HEADER > LONGEST_NAME:
        raise ValueError("cut off, or too long a name")
    return ".".join(labels), at + 5


@dataclass(frozen=True)
class Split:
    """`domains`: these names and all below them are the pod's; `names`: these alone; `carried`: the names of these
    addresses. `local` never are."""

    domains: frozenset[str]
    names: frozenset[str]
    local: frozenset[str]
    carried: Carried

    @classmethod
    def of(cls, resolv_conf: str, wanted: Wanted, carried: Carried) -> Split:
        """`resolv_conf` is the pod's. Its whole search list counts: what the node's part of it adds to a name is meant
        for the pod's resolver."""
        domains = [ROOT]
        if wanted.split_names:
            searched = search(resolv_conf)
            domains = [*searched, *(found["domain"] for name in searched if (found := SERVICES.fullmatch(name)))]
        return cls(frozenset(domains), frozenset(map(_plain, wanted.also)), wanted.local_names, carried)

    def is_the_pods(self, name: str) -> bool:
        if (address := reverse(name)) is not None:
            return self.carried.takes(address)
        return name not in self.local and (name in self.names or _below(name, self.domains))


def search(resolv_conf: str) -> list[str]:
    """The search list of a resolv.conf: of several the last counts, resolv.conf(5)."""
    lists = [
        words[1:] for line in resolv_conf.splitlines() if (words := line.split()) and words[0] in ("search", "domain")
    ]
    return [_plain(domain) for domain in lists[-1] if _plain(domain)] if lists else []


def reverse(name: str) -> Address | None:
    """The address whose name is asked for (RFC 1035, 3.5; RFC 3596, 2.5); None for any other question."""
    try:
        if name.endswith(REVERSE_4):
            return ipaddress.IPv4Address(".".join(reversed(name.removesuffix(REVERSE_4).split("."))))
        if name.endswith(REVERSE_6):
            digits = "".join(reversed(name.removesuffix(REVERSE_6).split(".")))
            return ipaddress.IPv6Address(bytes.fromhex(digits))
    except ValueError:
        pass
    return None


def _plain(domain: str) -> str:
    return domain.rstrip(".").lower()


def _below(name: str, domains: Collection[str]) -> bool:
    labels = name.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels) + 1))
