from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.transports.webrtc.reorder import Reorder


def run(*sequence: int) -> list[list[tuple[int, int]]]:
    order: Reorder[int] = Reorder()
    return [order.take(number % 65_536, number) for number in sequence]


def test_what_is_in_order_is_handed_over_at_once():
    assert run(7, 8, 9) == [[(0, 7)], [(0, 8)], [(0, 9)]]


def test_a_packet_that_comes_two_places_late_is_put_in_its_place():
    assert run(1, 3, 4, 2, 5) == [[(0, 1)], [], [], [(0, 2), (0, 3), (0, 4)], [(0, 5)]]


def test_the_third_packet_after_a_missing_one_gives_it_up():
    assert run(1, 3, 4, 5, 6) == [[(0, 1)], [], [], [(1, 3), (0, 4), (0, 5)], [(0, 6)]]


def test_what_comes_after_it_was_given_up_vanishes():
    assert run(1, 3, 4, 5, 2, 6)[4:] == [[], [(0, 6)]]


def test_duplicates_vanish_held_or_not():
    assert run(1, 1, 3, 3, 2) == [[(0, 1)], [], [], [], [(0, 2), (0, 3)]]


def test_numbers_begin_again_after_the_last():
    assert run(65_534, 65_536, 65_535, 65_537)[1:] == [
        [],
        [(0, 65_535), (0, 65_536)],
        [(0, 65_537)],
    ]


def test_a_sender_that_counts_anew_is_followed():
    assert run(1, 3, 20_000, 20_001)[2:] == [[(0, 3), (0, 20_000)], [(0, 20_001)]]


@given(
    st.integers(0, 65_535),
    st.lists(st.integers(0, 9), min_size=1, max_size=80),
)
def test_any_line_gives_order_and_an_exact_account_of_what_is_lost(first: int, fates: list[int]):
    """Each packet's fate: 0 it is lost, 1 it comes twice, else it comes late by some places."""
    sent = [(-1, -1)]
    for n, fate in enumerate(fates):
        late = {7: 1.5, 8: 2.5, 9: 6.5}.get(fate, 0)
        sent += [(n + late, n)] * (0 if fate == 0 else 2 if fate == 1 else 1)
    order: Reorder[int] = Reorder()
    came: list[tuple[int, int]] = []
    most_waiting = 0
    arrived: set[int] = set()
    for _, n in sorted(sent):
        arrived.add(n)
        came += order.take((first + n) % 65_536, n)
        highest = max((item for _, item in came), default=-1)
        most_waiting = max(most_waiting, sum(1 for each in arrived if each > highest))
    numbers = [n for _, n in came]
    assert numbers == sorted(set(numbers))
    assert most_waiting <= 2
    expected = -1
    for lost, n in came:
        assert n == expected + lost
        expected = n + 1
    on_time = {n for n, fate in enumerate(fates) if 1 <= fate <= 8}
    # The last ones may still wait, for a packet that nobody will ever follow.
    assert on_time - set(numbers) <= {n for n in on_time if n >= expected}
