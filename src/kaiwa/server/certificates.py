"""TLS for this machine: the operator's own certificate, or one that kaiwa makes for itself.

A certificate made here is signed by an authority made with it, whose key is thrown away at once: who
trusts that authority trusts this one server and nothing else.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kaiwa.errors import ConfigError

# Longer ones are refused by some clients (Apple's limit is 825 days, browsers' 398).
LIFETIME = timedelta(days=397)
RENEW_BEFORE_END = timedelta(days=30)
_CLOCK_SKEW = timedelta(hours=1)
_ANYWHERE = ("", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Certificate:
    """Where a certificate lies. `authority` is what a client must trust, None for the operator's own."""

    chain: Path
    key: Path
    authority: Path | None = None


def own_certificate(chain: Path, key: Path) -> Certificate:
    """Return the operator's certificate. Raises ConfigError when a file is missing."""
    for setting, path in (("KAIWA_TLS_CERT", chain), ("KAIWA_TLS_KEY", key)):
        if not path.is_file():
            raise ConfigError(setting, f"{path} is no file.", "Name a PEM file.")
    return Certificate(chain, key)


def self_signed(cache: Path, host: str) -> Certificate:
    """Return a certificate for this machine, made on the first call and kept until it nears its end.

    Names localhost, the loopback addresses, this machine's name and `host`. Raises ConfigError.
    """
    directory = cache / "kaiwa" / "tls"
    kept = Certificate(directory / "server.pem", directory / "server.pem", directory / "authority.pem")
    names = names_of_this_machine(host)
    if not _still_good(kept, names):
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(kept, names)
        except OSError as error:
            raise ConfigError(
                "KAIWA_CACHE", f"{directory} cannot be written ({error.strerror}).", "Name one that can."
            ) from error
    return kept


def tls_context(certificate: Certificate, oldest: Literal["1.2", "1.3"] = "1.2") -> ssl.SSLContext:
    """Return what a listener needs. Raises ConfigError when key and certificate are no pair."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if oldest == "1.3" else ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # Without a password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(certificate.chain, certificate.key, password="")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            "KAIWA_TLS_CERT",
            f"{certificate.chain} and {certificate.key} cannot be used ({error.args[-1]}).",
            "Both must be PEM, without a passphrase, and belong together.",
        ) from error
    return context


def names_of_this_machine(host: str) -> list[str]:
    names = ["localhost", socket.gethostname(), "127.0.0.1", "::1", host.strip("[]")]
    return list(dict.fromkeys(name for name in names if name not in _ANYWHERE))


def _still_good(kept: Certificate, names: Sequence[str]) -> bool:
    assert kept.authority is not None, "a certificate made here has its authority beside it"
    try:
        server = x509.load_pem_x509_certificate(kept.chain.read_bytes())
        authority = x509.load_pem_x509_certificate(kept.authority.read_bytes())
        server.verify_directly_issued_by(authority)
        named = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    enough = server.not_valid_after_utc - datetime.now(UTC) > RENEW_BEFORE_END
    return enough and all(_general_name(name) in named for name in names)


def _make(kept: Certificate, names: Sequence[str]) -> None:
    """Write authority, certificate and key; the pair that is served comes into place whole."""
    assert kept.authority is not None, "a certificate made here has its authority beside it"
    authority_key, server_key = (
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP256R1()),
    )
    authority = _signed(authority_key, authority_key, "kaiwa on this machine", issuer=None, names=())
    server = _signed(server_key, authority_key, names[0], issuer=authority, names=names)
    secret = server_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    _write(kept.authority, authority.public_bytes(pem), 0o644)
    _write(kept.chain, server.public_bytes(pem) + secret, 0o600)


def _signed(
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    name: str,
    *,
    issuer: x509.Certificate | None,
    names: Sequence[str],
) -> x509.Certificate:
    """Return a certificate; without an issuer it is an authority, which signs itself."""
    subject, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])]), datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(
            x509.BasicConstraints(ca=issuer is None, path_length=0 if issuer is None else None), True
        )
        .add_extension(_usage(signs=issuer is None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    )
    if issuer is not None:
        built = built.add_extension(x509.SubjectAlternativeName([_general_name(one) for one in names]), False)
        built = built.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
    return built.sign(signer, hashes.SHA256())


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    with contextlib.suppress(ValueError):
        return x509.IPAddress(ip_address(name))
    return x509.DNSName(name)


def _write(path: Path, content: bytes, mode: int) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        os.chmod(name, mode)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
