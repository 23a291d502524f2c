from __future__ import annotations

import asyncio
import socket

import pytest

FAR = ("192.0.2.1", 9)  # TEST-NET-1 of RFC 5737: nobody is there
REFUSED = pytest.raises(RuntimeError, match="tests stay on this machine")


@pytest.fixture
def datagram():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        yield made


def test_no_connection_leaves_the_machine():
    with socket.socket() as stream:
        with REFUSED:
            stream.connect(FAR)
        with REFUSED:
            stream.connect_ex(FAR)
    with REFUSED:
        socket.create_connection(FAR, timeout=0.01)


def test_no_datagram_leaves_the_machine(datagram):
    with REFUSED:
        datagram.sendto(b"x", FAR)
    with REFUSED:
        datagram.sendto(b"x", 0, FAR)


@pytest.mark.parametrize("host", ["example.com", b"example.com", "192.0.2.1", "2001:db8::1"])
def test_no_name_is_looked_up(host):
    with REFUSED:
        socket.getaddrinfo(host, 80)


@pytest.mark.real_time
async def test_asyncio_stays_on_the_machine():
    with REFUSED:
        await asyncio.open_connection(*FAR)


@pytest.mark.parametrize("host", [None, "localhost", "127.0.0.1", "::1", "0.0.0.0"])
def test_this_machine_is_found(host):
    assert socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)


def test_this_machine_is_reached(datagram):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        datagram.bind(("127.0.0.1", 0))
        sender.sendto(b"x", datagram.getsockname())
        assert datagram.recv(1) == b"x"
