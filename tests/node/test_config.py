"""Configuration, clock, instruments: what an operator or a user may write, and what they are told when it is wrong."""

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.clock import Clock
from node.config import Config, Logs, encode_config, load_config
from node.errors import NodeCode, NodeError
from node.instruments import decode_instrument, encode_instrument, get_terms
from node.logs import configure_logs
from protocol.series import MAX_STRIKE, STRIKE_UNIT, encode_series


def load(tmp_path: Path, text: str, **overrides: str) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return load_config(path, Config, {name.replace("__", "."): value for name, value in overrides.items()})


def test_defaults_are_readable_and_read_back(tmp_path: Path) -> None:
    text = encode_config(Config())
    assert 'format = "json"' in text
    assert load(tmp_path, text) == load(tmp_path, "")


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, 'data_dir = "x"\n[key]\nfile = "/etc/key"\n')
    assert config.data_dir == str(tmp_path / "x")
    assert config.key.file == "/etc/key"
    assert config.key.password_file == ""


def test_overrides_take_the_fields_type(tmp_path: Path) -> None:
    config = load(tmp_path, "", l1__confirmations="7", l1__url="http://x", log__level="debug")
    assert (config.l1.confirmations, config.l1.url, config.log.level) == (7, "http://x", "debug")


@pytest.mark.parametrize(
    ("text", "overrides", "code", "name"),
    [
        ("[l1]\nconfirmations = 0\n", {}, NodeCode.CONFIG_FIELD, "l1.confirmations"),
        ('[l1]\nconfirmations = "2"\n', {}, NodeCode.CONFIG_FIELD, "l1.confirmations"),
        ("[l1]\nurls = 3\n", {}, NodeCode.CONFIG_FIELD, "urls"),
        ('[log]\nlevel = "loud"\n', {}, NodeCode.CONFIG_FIELD, "log.level"),
        ("[l1\n", {}, NodeCode.CONFIG_SYNTAX, "config.toml"),
        ("", {"l1__poll": "2"}, NodeCode.CONFIG_FIELD, "l1.poll"),
        ("", {"l1__poll_s": "soon"}, NodeCode.CONFIG_FIELD, "l1.poll_s"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, text: str, overrides: dict[str, str], code: NodeCode, name: str) -> None:
    with pytest.raises(NodeError) as refused:
        load(tmp_path, text, **overrides)
    assert refused.value.code is code
    assert name in refused.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NodeError, match=r"nowhere\.toml") as refused:
        load_config(tmp_path / "nowhere.toml", Config)
    assert refused.value.code is NodeCode.CONFIG_UNREADABLE


def test_clock_runs_at_its_speed() -> None:
    wall = [1000.0]
    clock = Clock(wall_start=1000.0, chain_start=50_000, speed=60, wall=lambda: wall[0])
    assert clock.now() == 50_000
    wall[0] += 2.51
    assert clock.now() == 50_150
    assert clock.to_wall_s(120) == 2


def test_secrets_do_not_reach_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    configure_logs(Logs(), "test").info("loaded", key_password="hunter2", address=b"\x01\xff")
    entry = json.loads(out.getvalue())
    assert "hunter2" not in out.getvalue()
    assert (entry["event"], entry["address"], entry["daemon"]) == ("loaded", "0x01ff", "test")


# -- instruments


def test_names_are_deribits() -> None:
    expiry = int(datetime(2026, 3, 27, 8, tzinfo=UTC).timestamp())
    assert encode_instrument(encode_series(0, expiry, 100_000 * 10**6, 1)) == "BTC-27MAR26-100000-C"
    assert encode_instrument(encode_series(1, expiry + 5400, 2_500_500_000, 0)) == "ETH-27MAR26T093000-2500d5-P"
    assert get_terms("BTC-1JAN27-90000-P").strike == 90_000 * 10**6


@given(st.integers(0, 1), st.integers(946_684_800, 4_102_444_799), st.integers(1, MAX_STRIKE // STRIKE_UNIT), st.integers(0, 1))
def test_a_series_has_one_name(underlying: int, expiry: int, cents: int, is_call: int) -> None:
    series = encode_series(underlying, expiry, cents * STRIKE_UNIT, is_call)
    assert decode_instrument(encode_instrument(series)) == series


@pytest.mark.parametrize(
    "name",
    [
        "",
        "BTC",
        "BTC-27MAR26-100000-X",
        "DOGE-27MAR26-1-C",
        "BTC-32MAR26-1-C",
        "BTC-027MAR26-1-C",
        "BTC-27MAR26-01-C",
        "BTC-27MAR26-0-C",
        "BTC-27MAR26T080000-1-C",
        "BTC-27MAR26-1d00-C",
        "BTC-27MAR26-1d50-C",
        "BTC-27MAR26-99999999-C",
        "BTC-27MAR26-1-C\n",
        "BTC-２7MAR26-1-C",
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(NodeError) as refused:
        decode_instrument(name)
    assert refused.value.code is NodeCode.INSTRUMENT
