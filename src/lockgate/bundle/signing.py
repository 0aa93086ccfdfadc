"""Signs bundles and verifies signatures: Ed25519 over the bytes of the manifest, checked with trusted keys.

The manifest holds the digest of every file of the bundle, so only its bytes are signed. The signature is a file beside
the manifest: a bundle has the same digest with and without a signature.
"""

import base64
import os
import stat
from collections.abc import Collection, Mapping
from pathlib import Path

from lockgate import digests
from lockgate.bundle import manifest
from lockgate.bundle.manifest import MANIFEST, SIGNATURE
from lockgate.errors import BadConfiguration, IntegrityBroken
from lockgate.system import project, safe_files

KEY_VARIABLE = "LOCKGATE_SIGNING_KEY"  # path of the private key with which a registration signs
TRUSTED_VARIABLE = "LOCKGATE_TRUSTED_KEYS"  # for `mlflow models serve`, which knows no params.yaml: keys, by commas
LARGEST_KEY = 1 << 14
SIGNATURE_BYTES = 64
MAKE_A_KEY = "make one with: openssl genpkey -algorithm ed25519 -out key.pem && chmod 600 key.pem"
SEE = "see docs/explanation/integrity.md"


def signed(bundle: Path, environment: Mapping[str, str] = os.environ) -> bytes | None:
    """The signature of a bundle by the key that LOCKGATE_SIGNING_KEY names; None if it names none.

    Raises BadConfiguration for a key that cannot be read or is no Ed25519 key, IntegrityBroken for one that is not
    secret: other users may read it, or it lies in the project, from where it would go into git or an archive.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    named = environment.get(KEY_VARIABLE, "").strip()
    if not named:
        return None
    try:
        key = load_pem_private_key(_private(Path(named)), password=None)
    except (ValueError, TypeError) as error:  # no PEM at all, or one with a password
        raise _unfit(named, "cannot be read as a key without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _unfit(named, "is no Ed25519 key")
    return key.sign(_manifest(bundle))


def require(bundle: Path, digest: str, trusted: Collection[str]) -> None:
    """Raises IntegrityBroken unless one of the trusted keys, if there are any, signed the bundle that has this digest.

    A key is written as in params.yaml: the base64 text between the two lines of its PEM file.
    """
    if not trusted:
        return
    content = _manifest(bundle)
    if digests.of_bytes(content) != digest:
        raise IntegrityBroken(f"the manifest is not the one with digest {digest[:12]}", where=str(bundle), hint=SEE)
    if not (bundle / SIGNATURE).exists():
        raise IntegrityBroken(f"bundle {digest[:12]} is not signed, and the policy asks for a signature", hint=SEE)
    signature = safe_files.read(bundle / SIGNATURE, SIGNATURE_BYTES)
    if not any(_signed_by(key, signature, content) for key in trusted):
        raise IntegrityBroken(
            f"bundle {digest[:12]} is signed by no key that the policy trusts", hint=f"keys may be revoked; {SEE}"
        )


def trusted_by(environment: Mapping[str, str]) -> list[str]:
    """The keys that LOCKGATE_TRUSTED_KEYS lists."""
    return [key for part in environment.get(TRUSTED_VARIABLE, "").split(",") if (key := part.strip())]


def _signed_by(key: str, signature: bytes, content: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public = load_der_public_key(base64.b64decode(key, validate=True))
    except ValueError as error:
        raise BadConfiguration(f"{key[:20]!a} is no public key", hint=SEE) from error
    if not isinstance(public, Ed25519PublicKey):
        raise BadConfiguration(f"{key[:20]!a} is no Ed25519 key", hint=SEE)
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _manifest(bundle: Path) -> bytes:
    return safe_files.read(bundle / MANIFEST, manifest.LARGEST_MANIFEST)


def _private(path: Path) -> bytes:
    """The bytes of a key file that only its owner may read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _unfit(str(path), "is no plain file")
            _require_secret(path, stat.S_IMODE(status.st_mode))
            return file.read(LARGEST_KEY)
    except OSError as error:
        raise _unfit(str(path), f"cannot be read: {error.strerror}") from error


def _require_secret(path: Path, mode: int) -> None:
    where = f"{KEY_VARIABLE}: {path}"
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise IntegrityBroken(
            f"the signing key may be used by other users: its mode is {mode:04o}",
            where=where,
            hint=f"run: chmod 600 {path}; if others may have read it, make a new one",
        )
    folder = project.find(Path.cwd())
    if folder and any(each.absolute().is_relative_to(folder) for each in (path, path.resolve())):
        raise IntegrityBroken("the signing key lies in the project's folder", where=where, hint="move it elsewhere")


def _unfit(path: str, message: str, hint: str = MAKE_A_KEY) -> BadConfiguration:
    return BadConfiguration(f"the signing key {message}", where=f"{KEY_VARIABLE}: {path}", hint=hint)
