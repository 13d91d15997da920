"""Keys of restic repositories that open in a moment; restic's own cost half a second of a processor."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

_CHEAP = {"N": 2, "r": 1, "p": 1}


def make_cheap(repository: Path, environment: Mapping[str, str]) -> None:
    """Replace the key of a local repository by one for the same password, with scrypt's least parameters.

    Args:
        repository: with one key.
        environment: has `RESTIC_PASSWORD`.
    """
    command = ["restic", "--no-cache", "--repo", str(repository), "cat", "masterkey"]
    master = subprocess.run(command, env=environment, capture_output=True, check=True).stdout
    (old,) = (repository / "keys").iterdir()
    salt = os.urandom(64)
    sealed = _sealed(_password_key(environment["RESTIC_PASSWORD"], salt), master)
    changed = _CHEAP | {"salt": base64.b64encode(salt).decode(), "data": base64.b64encode(sealed).decode()}
    text = json.dumps(json.loads(old.read_bytes()) | changed).encode()
    old.unlink()
    (repository / "keys" / hashlib.sha256(text).hexdigest()).write_bytes(text)


def _password_key(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=_CHEAP["N"], r=_CHEAP["r"], p=_CHEAP["p"], dklen=64)


def _sealed(key: bytes, text: bytes) -> bytes:
    """Encrypt as restic does: AES-256-CTR, then Poly1305-AES over what it gives; RFC 8439, section 2.5."""
    encryption, k, r = key[:32], key[32:48], int.from_bytes(key[48:], "little")
    nonce = os.urandom(16)
    cipher = _openssl("aes-256-ctr", encryption, text, "-iv", nonce.hex())
    r &= 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for start in range(0, len(cipher), 16):
        block = cipher[start : start + 16] + b"\x01"
        total = (total + int.from_bytes(block, "little")) * r % (2**130 - 5)
    pad = int.from_bytes(_openssl("aes-128-ecb", k, nonce, "-nopad"), "little")
    return nonce + cipher + ((total + pad) % 2**128).to_bytes(16, "little")


def _openssl(cipher: str, key: bytes, text: bytes, *options: str) -> bytes:
    command = ["openssl", "enc", f"-{cipher}", "-K", key.hex(), *options]
    return subprocess.run(command, input=text, capture_output=True, check=True).stdout
