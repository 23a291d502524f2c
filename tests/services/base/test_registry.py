import pytest

from antiphon.errors import OptionError
from antiphon.services.base.registry import resolve
from antiphon.services.base.stt import STT
from antiphon.services.base.tts import TTS
from antiphon.services.base.vad import VAD


def test_a_service_is_found_by_its_name():
    assert resolve("vad", "silero", VAD).name == "silero"


def test_what_follows_the_slash_is_the_model():
    assert resolve("stt", "whisper/base", STT).name == "whisper/base"


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'whisper'"):
        resolve("stt", "wisper", STT)


def test_an_object_of_another_kind_is_refused():
    with pytest.raises(OptionError, match="is no TTS"):
        resolve("tts", resolve("vad", "silero", VAD), TTS)
