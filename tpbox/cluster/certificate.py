"""Who signed a server's certificate, for the error that nobody trusts it.

issuer("10.0.0.1", 6443)      # "CN=Corp TLS Inspection CA,O=Corp"
"""

from __future__ import annotations

import socket
import ssl

from cryptography import x509

TIMEOUT = 5  # seconds


def issuer(host: str, port: int, server_name: str = "") -> str:
    """The issuer's distinguished name (RFC 4514), read from a connection that verifies nothing and sends nothing;
    "" when there is none to be had."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=TIMEOUT) as plain,
            context.wrap_socket(plain, server_hostname=server_name or host) as secured,
        ):
            certificate = secured.getpeercert(binary_form=True)
        return x509.load_der_x509_certificate(certificate or b"").issuer.rfc4514_string()
    except (OSError, ValueError):
        return ""
