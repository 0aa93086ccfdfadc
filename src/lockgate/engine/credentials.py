"""The key of the local cluster: who cannot read it can neither give work to the cluster nor join it.

A Dask scheduler runs any code that it is given, and a port of 127.0.0.1 is open to every user of the machine. So the
local cluster speaks TLS only, and scheduler, workers and clients show the same certificate.
"""

import os
from pathlib import Path

from distributed.security import Security

CERTIFICATE, KEY = "certificate.pem", "key.pem"


def make(folder: Path) -> None:
    """Write a new self-signed certificate and its key, which only this user can read."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Security.temporary()
    for name, text in ((CERTIFICATE, made.tls_client_cert), (KEY, made.tls_client_key)):
        (folder / name).unlink(missing_ok=True)
        with os.fdopen(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)


def security(folder: Path) -> Security:
    """The credentials of a client of the cluster with this folder."""
    certificate, key = str(folder / CERTIFICATE), str(folder / KEY)
    return Security(tls_ca_file=certificate, tls_client_cert=certificate, tls_client_key=key, require_encryption=True)


def options(folder: Path) -> list[str]:
    """The same for the command lines of scheduler and worker."""
    certificate, key = str(folder / CERTIFICATE), str(folder / KEY)
    return ["--tls-ca-file", certificate, "--tls-cert", certificate, "--tls-key", key]
