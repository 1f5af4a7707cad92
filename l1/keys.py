"""Loading the key that signs L1 transactions. Keys come from files only, are never printed and never stand on a command line."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from coincurve import PrivateKey
from eth_account import Account
from eth_account.hdaccount import seed_from_mnemonic
from eth_account.hdaccount.deterministic import HDPath
from eth_account.signers.local import LocalAccount

from protocol.keccak import keccak

# Known to everyone: for chains that hold nothing. The first accounts that it gives are funded on the embedded devnet and on anvil.
DEV_MNEMONIC = "test test test test test test test test test test test junk"
DEV_PATH = "m/44'/60'/0'/0"
DEV_KEY_FORMAT = "straddle-devnet-key"
MAX_FILE_BYTES = 65_536


class BadKey(Exception):
    """A key file that is unreadable, malformed or wrong. The message never holds any of its content."""


@dataclass(frozen=True)
class Key:
    """An L1 account. The secret stays out of `repr`."""

    address: bytes
    secret: bytes = field(repr=False)

    @property
    def account(self) -> LocalAccount:
        """eth-account's signer."""
        account: LocalAccount = Account.from_key(self.secret)
        return account


def create_key(secret: bytes) -> Key:
    """From 32 secret bytes."""
    if len(secret) != 32:
        raise BadKey("a secret has 32 bytes")
    try:
        public = PrivateKey(secret).public_key.format(compressed=False)
    except ValueError as error:
        raise BadKey("not a secp256k1 secret") from error
    return Key(keccak(public[1:])[12:], secret)


def derive_dev_keys(count: int, first: int = 0) -> list[Key]:
    """Devnet only: keys of the public test mnemonic."""
    seed = seed_from_mnemonic(DEV_MNEMONIC, "")
    return [create_key(HDPath(f"{DEV_PATH}/{index}").derive(seed)) for index in range(first, first + count)]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadKey(f"cannot read {path}: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise BadKey(f"{path} is too large for a key file")
    return content


def load_keystore(path: Path, password_path: Path) -> Key:
    """From an encrypted Ethereum keystore (version 3); one trailing newline of the password file is not part of the password."""
    content, password = _read(path), _read(password_path)
    password = password.removesuffix(b"\n").removesuffix(b"\r")
    try:
        secret = bytes(Account.decrypt(json.loads(content), password.decode()))
    except (ValueError, KeyError, TypeError, AttributeError, NotImplementedError):
        # the cause is suppressed: it can quote the file
        raise BadKey(f"cannot decrypt {path}: not a keystore, or a wrong password") from None
    return create_key(secret)


def load_dev_key(path: Path) -> Key:
    """From a plain devnet key file: JSON with `format` and `secret` (hex)."""
    try:
        content = json.loads(_read(path))
        if content["format"] != DEV_KEY_FORMAT:
            raise BadKey(f"{path} is not a devnet key file")
        secret = bytes.fromhex(content["secret"].removeprefix("0x"))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadKey(f"{path} is not a devnet key file") from None
    return create_key(secret)


def save_dev_key(path: Path, key: Key) -> None:
    """For devnets and tests. Fails if the file exists; only its owner can read it."""
    path.touch(mode=0o600, exist_ok=False)
    path.write_text(json.dumps({"format": DEV_KEY_FORMAT, "secret": key.secret.hex()}))


def load_key(path: Path, password_path: Path | None) -> Key:
    """A keystore if there is a password file, else a devnet key file."""
    return load_dev_key(path) if password_path is None else load_keystore(path, password_path)
