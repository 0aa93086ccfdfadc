"""Ed25519 keys as `openssl genpkey` and `openssl pkey -pubout` write them."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat


def make(path: Path, key: PrivateKeyTypes | None = None, mode: int = 0o600) -> str:
    """Write a private key, by default a new Ed25519 one; its public half as params.yaml has it."""
    key = key or Ed25519PrivateKey.generate()
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(mode)
    lines = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().splitlines()
    return "".join(lines[1:-1])
