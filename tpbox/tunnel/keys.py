"""One ed25519 key pair for each session, made in memory. The only module that imports cryptography.

paramiko cannot make ed25519 keys (5.1), so they come from the library below it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True)
class KeyPair:
    """`private` in OpenSSH's PEM format, `public` as one line of authorized_keys."""

    private: str = field(repr=False)
    public: str


def new_key_pair(comment: str) -> KeyPair:
    """A fresh pair; `comment` is what the public key's line ends with."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private.decode(), f"{public.decode()} {comment}")
