from __future__ import annotations

import pytest

from antiphon.errors import OptionError
from antiphon.server.options import ServerOptions, is_loopback

TOKEN = "a-token-of-twenty-two"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_token(host: str):
    assert is_loopback(host)
    assert ServerOptions(host=host).token is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com", ""])
def test_any_other_host_needs_a_token(host: str):
    with pytest.raises(OptionError, match="needs a token; make one with") as caught:
        ServerOptions(host=host)
    assert host in str(caught.value)
    assert ServerOptions(host=host, token=TOKEN).host == host


def test_the_token_is_not_shown():
    assert TOKEN not in repr(ServerOptions(token=TOKEN))


@pytest.mark.parametrize("token", ["", "short", "ü" * 20])
def test_a_weak_token_is_refused_without_being_shown(token: str):
    with pytest.raises(OptionError, match="16 ASCII characters") as caught:
        ServerOptions(token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("origin", ["*", "example.com", "https://example.com/", "ftp://a.b", ""])
def test_origins_are_scheme_and_host(origin: str):
    with pytest.raises(OptionError, match="write scheme and host"):
        ServerOptions(allowed_origins=(origin,))


def test_one_origin_as_a_string_is_a_forgotten_comma():
    with pytest.raises(OptionError, match="comma"):
        ServerOptions(allowed_origins="https://example.com")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"port": 70_000}, "0 to 65535"),
        ({"max_sessions": 0}, "max_sessions"),
        ({"prot": 1}, "did you mean 'port'"),
        ({"ping_seconds": 0}, "ping_seconds"),
    ],
)
def test_values_and_names_are_checked(options: dict[str, int], problem: str):
    with pytest.raises(OptionError, match=problem):
        ServerOptions(**options)
