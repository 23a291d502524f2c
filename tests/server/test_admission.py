from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.server.admission import check_client, check_host
from antiphon.server.options import ServerOptions

TOKEN = "a-token-of-twenty-two"
LOCAL = ServerOptions()
GUARDED = ServerOptions(host="0.0.0.0", token=TOKEN)
PROXIED = ServerOptions(allowed_origins=("https://Talk.example.com", "http://other.test:81"))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8642", "127.0.0.1:1", "[::1]:8642", "LOCALHOST:80"]
)
def test_this_machines_names_are_let_in(host: str):
    assert check_host({"host": host}, LOCAL) is None


@pytest.mark.parametrize("host", ["evil.test", "evil.test:8642", "127.0.0.1.evil.test", "", "["])
def test_another_name_for_this_machine_is_not(host: str):
    refusal = check_host({"host": host}, LOCAL)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (403, "host")


def test_no_host_at_all():
    assert check_host({}, LOCAL) is not None


def test_a_proxys_name_is_let_in_if_it_is_an_allowed_origin():
    assert check_host({"host": "talk.example.com"}, PROXIED) is None
    assert check_host({"host": "talk.example.org"}, PROXIED) is not None


def test_a_server_with_a_token_may_have_any_name():
    assert check_host({"host": "anything.test"}, GUARDED) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:8642", "localhost:8642"),
        ("https://Talk.example.com", "127.0.0.1:8642"),
        ("http://other.test:81", "talk.example.com"),
        ("https://talk.example.com", "talk.example.com"),
    ],
)
def test_own_and_allowed_pages_may_connect(origin: str, host: str):
    assert check_client({"origin": origin, "host": host}, {}, PROXIED) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://localhost:9999",
        "http://evil.test",
        "file://localhost:8642",
        "http://other.test:82",
        "https://other.test:81",
        "http://localhost:8642.evil.test",
        "//localhost:8642",
    ],
)
def test_pages_of_other_servers_may_not(origin: str):
    refusal = check_client({"origin": origin, "host": "localhost:8642"}, {}, PROXIED)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (403, "origin")


def test_a_program_sends_no_origin():
    assert check_client({"host": "localhost"}, {}, LOCAL) is None


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ({"authorization": f"Bearer {TOKEN}"}, {}),
        ({"authorization": f"bearer {TOKEN}"}, {"token": "wrong"}),
        ({}, {"token": TOKEN}),
        ({"authorization": "Basic abc"}, {"token": TOKEN}),
    ],
)
def test_the_token_lets_in(headers: dict[str, str], query: dict[str, str]):
    assert check_client(headers, query, GUARDED) is None


@given(st.text(), st.text())
@example("", "")
@example(f"Bearer {TOKEN}x", "")
@example(f"Basic {TOKEN}", "")
@example("", TOKEN[:-1])
@example("Bearer ü", "")
@example("", "ü\ud800")
def test_anything_else_does_not(authorization: str, token: str):
    headers = {"authorization": authorization}
    refusal = check_client(headers, {"token": token}, GUARDED)
    assert refusal is not None
    assert (refusal.status, refusal.code) == (401, "token")
    assert TOKEN not in refusal.message


@given(st.text(), st.text())
@example("http://[", "]")
def test_no_header_makes_it_fail(origin: str, host: str):
    check_host({"host": host}, PROXIED)
    check_client({"origin": origin, "host": host}, {}, PROXIED)
