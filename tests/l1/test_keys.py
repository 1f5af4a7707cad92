"""Keys come from files, and neither errors nor representations show them."""

import json
import stat
from pathlib import Path

import pytest
from eth_account import Account

from l1.keys import DEV_MNEMONIC, BadKey, create_key, derive_dev_keys, load_key, save_dev_key

SECRET = bytes(range(1, 33))


def test_a_keystore_opens_with_its_password_file(tmp_path: Path) -> None:
    store, password = tmp_path / "key.json", tmp_path / "password"
    store.write_text(json.dumps(Account.encrypt(SECRET, "pass word", kdf="pbkdf2", iterations=10)))
    password.write_text("pass word\n")
    key = load_key(store, password)
    assert key.secret == SECRET
    assert key.address == bytes.fromhex(Account.from_key(SECRET).address[2:])
    password.write_text("wrong")
    with pytest.raises(BadKey) as caught:
        load_key(store, password)
    assert SECRET.hex() not in repr(caught.value)


def test_a_devnet_key_file_is_its_owners_and_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    key = create_key(SECRET)
    save_dev_key(path, key)
    assert load_key(path, None) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        save_dev_key(path, key)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "3",
        '{"format": "straddle-devnet-key"}',
        '{"format": "straddle-devnet-key", "secret": "zz"}',
        '{"format": "straddle-devnet-key", "secret": 5}',
        json.dumps({"format": "straddle-devnet-key", "secret": "00" * 32}),
        json.dumps({"format": "straddle-devnet-key", "secret": "11" * 31}),
        json.dumps({"format": "other", "secret": SECRET.hex()}),
        " " * 100_000,
    ],
)
def test_anything_else_is_refused(tmp_path: Path, content: str) -> None:
    path, password = tmp_path / "key.json", tmp_path / "password"
    path.write_text(content)
    password.write_text("x")
    with pytest.raises(BadKey):
        load_key(path, None)
    with pytest.raises(BadKey):
        load_key(path, password)
    with pytest.raises(BadKey):
        load_key(tmp_path / "none", None)


def test_a_key_is_not_shown() -> None:
    assert SECRET.hex() not in repr(create_key(SECRET))
    assert repr(SECRET) not in repr(create_key(SECRET))


def test_the_dev_accounts_are_those_of_the_public_mnemonic() -> None:
    Account.enable_unaudited_hdwallet_features()
    expected = Account.from_mnemonic(DEV_MNEMONIC, account_path="m/44'/60'/0'/0/3")
    assert derive_dev_keys(1, first=3)[0].secret == bytes(expected.key)
    assert derive_dev_keys(1)[0].address.hex() == "f39fd6e51aad88f6f4ce6ab8827279cfffb92266"
