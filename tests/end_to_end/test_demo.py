"""`antiphon demo` as a person meets it, from the first line to Ctrl-C."""

from __future__ import annotations

import socket
import urllib.request

from support.commands import run, running


def test_the_demo_asks_itself_then_serves_until_ctrl_c(tmp_path):
    with running("demo", "--no-browser", "--port", "0", cwd=tmp_path) as demo:
        for service in ("silero", "whisper/tiny.en", "smart-turn", "retrieval", "hibari"):
            assert service in demo.printed or demo.wait_for(service)
        demo.wait_for(r"Ready after \d+\.\d s")
        demo.wait_for(r"you +Hello.*Saturday")
        demo.wait_for(r"agent +On Saturday we are open from ten to four\.")
        demo.wait_for(r"voice detection +\S* +\d+ ms +vad +VoiceOptions\.stop_silence")
        demo.wait_for(r"voice to voice +\d+ ms")
        page = demo.wait_for(r"Your turn: (http://127\.0\.0\.1:\d+/)")[1]
        with urllib.request.urlopen(page, timeout=5) as answer:
            assert answer.status == 200
            assert b"<html" in answer.read()
        assert demo.interrupt() == 0
        assert "Traceback" not in demo.printed
        assert max(map(len, demo.printed.splitlines())) <= 80


def test_ctrl_c_while_it_still_loads_is_quiet(tmp_path):
    with running("demo", "--no-browser", "--port", "0", cwd=tmp_path) as demo:
        demo.wait_for("loads its models")
        assert demo.interrupt() == 0
        assert "Traceback" not in demo.printed


def test_a_port_in_use_is_told_before_the_question(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("demo", "--no-browser", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert f"port {port} is in use: try --port " in done.stderr
    assert "Traceback" not in done.stderr
    assert "voice to voice" not in done.stdout
