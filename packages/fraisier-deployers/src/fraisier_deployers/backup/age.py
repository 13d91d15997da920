"""Encrypts or decrypts a stream by age: `python -m fraisier_deployers.backup.age encrypt RECIPIENT ...`, or
`decrypt` with the secret key in the environment. It reads and prints in pieces, whatever the size.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pyrage import ssh, x25519

    Recipient: TypeAlias = x25519.Recipient | ssh.Recipient
    Identity: TypeAlias = x25519.Identity | ssh.Identity

IDENTITY_VARIABLE = "AGE_SECRET_KEY"


def recipient(text: str) -> Recipient:
    """Return the public key that a text is. Raises `pyrage.RecipientError`."""
    from pyrage import ssh, x25519

    return (ssh.Recipient if text.startswith("ssh-") else x25519.Recipient).from_str(text)


def identity(text: str) -> Identity:
    """Return the secret key that a text is: of age or of ssh. Raises `pyrage.IdentityError`."""
    from pyrage import ssh, x25519

    if "PRIVATE KEY" in text:
        return ssh.Identity.from_buffer(f"{text.strip()}\n".encode())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return x25519.Identity.from_str("".join(lines))


def main(arguments: list[str]) -> int:
    """Encrypt or decrypt what is read, and return an exit status."""
    import pyrage

    try:
        if arguments[0] == "encrypt":
            keys = [recipient(text) for text in arguments[1:]]
            pyrage.encrypt_io(sys.stdin.buffer, sys.stdout.buffer, keys)
        else:
            pyrage.decrypt_io(sys.stdin.buffer, sys.stdout.buffer, [identity(os.environ[IDENTITY_VARIABLE])])
        sys.stdout.buffer.flush()
    except (pyrage.RecipientError, pyrage.IdentityError, pyrage.EncryptError, pyrage.DecryptError) as error:
        print(f"age: {error}", file=sys.stderr)  # noqa: T201 - to whoever runs the pipeline
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
