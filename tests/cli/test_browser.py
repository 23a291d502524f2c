from __future__ import annotations

import webbrowser

import pytest

from antiphon.cli import browser


@pytest.mark.parametrize(
    ("environment", "platform", "expected"),
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "CI": "true"}, "linux", False),
        ({"DISPLAY": "localhost:10.0", "SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_CONNECTION": "1 2 3 4"}, "darwin", False),
        ({}, "win32", True),
    ],
)
def test_where_a_window_would_be_seen(environment, platform, expected):
    assert browser.has_display(environment, platform=platform) is expected


class Stub:
    def __init__(self, answer):
        self.answer = answer
        self.opened = []

    def __call__(self, address):
        self.opened.append(address)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    ("answer", "expected"), [(True, True), (False, False), (webbrowser.Error("none"), False)]
)
async def test_opens_where_there_is_a_display(monkeypatch, answer, expected):
    stub = Stub(answer)
    monkeypatch.setattr(webbrowser, "open", stub)
    monkeypatch.setattr(browser, "has_display", lambda: True)
    assert await browser.open_page("http://127.0.0.1:1/") is expected
    assert stub.opened == ["http://127.0.0.1:1/"]


async def test_without_a_display_no_browser_is_looked_for(monkeypatch):
    stub = Stub(True)
    monkeypatch.setattr(webbrowser, "open", stub)
    monkeypatch.setattr(browser, "has_display", lambda: False)
    assert await browser.open_page("http://127.0.0.1:1/") is False
    assert stub.opened == []
