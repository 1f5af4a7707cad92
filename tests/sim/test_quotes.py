"""Recorded quotes of any day, coin and convention become dollars; a broken file says where it is broken."""

import gzip
from pathlib import Path

import pytest

from protocol.fixed_point import ONE
from protocol.params import YEAR_S
from protocol.svi import compute_v
from sim.market.quotes import QuoteFileError, read_quotes
from sim.market.surface import fit_slice

HEADER = (
    "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,last_price,bid_price,bid_amount,bid_iv,"
    "ask_price,ask_amount,ask_iv,mark_price,mark_iv,underlying_index,underlying_price,delta,gamma,vega,theta,rho\n"
)
TIMES = "1750000000000000,1750000000000001"
EXPIRY = "1751011200000000"
INVERSE = f"deribit,BTC-27JUN25-100000-C,{TIMES},call,100000,{EXPIRY},1,,0.05,2,50,0.06,3,54,0.055,52,i,104000,,,,,\n"
LINEAR = f"deribit,BTC_USDC-27JUN25-100000-P,{TIMES},put,100000,{EXPIRY},1,,1200,2,,,,,1250,51,i,104000,,,,,\n"
OTHER = "deribit,SOL_USDC-27JUN25-150-P,1750000000000000,1,put,150,1751011200000000,1,,1.2,2,,,,,1.3,80,i,150,,,,,\n"


def test_read_quotes__inverse_beside_linear__both_in_dollars(tmp_path: Path) -> None:
    path = tmp_path / "chain.csv.gz"
    path.write_bytes(gzip.compress((HEADER + INVERSE + LINEAR + OTHER).encode()))
    inverse, linear = read_quotes(path, ("BTC", "ETH"))
    assert (inverse.bid, inverse.ask, inverse.iv) == (0.05 * 104_000, 0.06 * 104_000, 0.52)
    assert (linear.bid, linear.ask, linear.iv, linear.is_call) == (1200, None, 0.51, False)
    assert linear.expiry == inverse.expiry == 1_751_011_200


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\n1,2,3\n", "not an options_chain file"),
        (HEADER + INVERSE.replace(",0.05,", ",nan,"), "line 2"),
        (HEADER + INVERSE + LINEAR.replace("put", "straddle"), "line 3"),
        (HEADER + INVERSE.replace("1751011200000000", "soon"), "line 2"),
        (HEADER + "deribit,BTC-27JUN25-100000-C\n", "line 2"),
    ],
)
def test_read_quotes__broken_file__says_where(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "chain.csv"
    path.write_text(text)
    with pytest.raises(QuoteFileError, match=message):
        list(read_quotes(path, ("BTC",)))


def test_read_quotes__not_gzip__is_a_quote_file_error(tmp_path: Path) -> None:
    path = tmp_path / "chain.csv.gz"
    path.write_text(HEADER)
    with pytest.raises(QuoteFileError):
        list(read_quotes(path, ("BTC",)))


def test_read_quotes__recorded_day__whole(shared: Path) -> None:
    quotes = list(read_quotes(shared / "deribit_btc_atm_quotes_20201201.csv.gz", ("BTC", "ETH")))
    assert len(quotes) == 10_406
    assert len({quote.expiry for quote in quotes}) == 7
    assert all(quote.underlying == "BTC" and 15_000 < quote.forward < 25_000 for quote in quotes)


def test_fit_slice__smile__is_recovered_in_integers() -> None:
    now, expiry, forward = 1_750_000_000, 1_750_000_000 + 30 * 86_400, 104_000.0
    years = 30 * 86_400 / YEAR_S
    points = [(forward * m, 0.5 + 0.4 * (m - 1) ** 2 - 0.1 * (m - 1)) for m in (0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3)]
    item = fit_slice(expiry, now, forward, points)
    for strike, iv in points:
        assert compute_v(item, int(strike) * 1_000_000) / ONE / years**0.5 == pytest.approx(iv, abs=0.01)


def test_fit_slice__few_points__is_flat() -> None:
    item = fit_slice(2_000_000, 1_000_000, 100.0, [(90.0, 0.8), (100.0, 0.8)])
    assert (item.b, item.rho, item.m, item.sigma) == (0, 0, 0, 0)
    assert item.a == round(0.64 * 1_000_000 / YEAR_S * 1e9)
