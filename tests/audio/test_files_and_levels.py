"""WAV bytes in and out, and how loud audio is."""

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiwa.audio.levels import SILENCE_DBFS, peak_dbfs, rms_dbfs
from kaiwa.audio.wav import house_audio_of, mix_down, read_wav, write_wav
from kaiwa.errors import AudioFormatError

RECORDINGS = Path(__file__).parent.parent / "data/audio"


@given(st.binary(max_size=400), st.sampled_from([8000, 16000, 24000, 48000]), st.sampled_from([1, 2]))
def test_what_is_written_is_read_back(audio, rate_hz, channels):
    pcm = audio[: len(audio) - len(audio) % (2 * channels)]
    assert read_wav(write_wav(pcm, rate_hz, channels)) == (pcm, rate_hz, channels)


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("*.wav")), ids=lambda path: path.stem)
def test_the_recordings_become_house_audio_of_the_same_length(path):
    wav = read_wav(path.read_bytes())
    house = house_audio_of(path.read_bytes())
    seconds = len(wav.pcm) / 2 / wav.channels / wav.rate_hz
    assert len(house) / 48000 == pytest.approx(seconds, abs=1e-4)
    assert rms_dbfs(house) == pytest.approx(rms_dbfs(mix_down(wav.pcm, wav.channels)), abs=0.5)


def test_stereo_is_mixed_to_the_mean():
    assert mix_down(struct.pack("<4h", 100, 300, -5, -7), 2) == struct.pack("<2h", 200, -6)


def test_an_extensible_header_and_an_unknown_chunk_are_read():
    fmt = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, 16000, 32000, 2, 16, 22, 16, 4, 1) + bytes(14)
    chunks = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"LIST\x03\0\0\0abc\0data\x02\0\0\0hi"
    assert read_wav(b"RIFF" + struct.pack("<I", len(chunks)) + chunks) == (b"hi", 16000, 1)


def test_a_stream_whose_size_was_never_filled_in_is_read_to_its_end():
    whole = write_wav(b"abcdef")
    assert read_wav(whole[:40] + b"\xff\xff\xff\xff" + whole[44:]).pcm == b"abcdef"


REFUSED = {
    "nothing": b"",
    "a beginning": b"RIFF",
    "something else": b"x" * 64,
    "no audio": write_wav(b"")[:20],
    "a format cut short": b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\1\0data\0\0\0\0",
    "eight bits": write_wav(b"ab").replace(b"\x10\0data", b"\x08\0data"),
    "audio before its format": b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_not_a_pcm16_wav_is_refused(data):
    with pytest.raises(AudioFormatError):
        read_wav(data)


def test_levels_are_against_full_scale():
    sine = (32767 * np.sin(2 * np.pi * 100 * np.arange(24000) / 24000)).astype("<i2").tobytes()
    assert rms_dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert peak_dbfs(sine) == pytest.approx(0, abs=0.01)
    assert peak_dbfs(struct.pack("<h", -32768)) == 0
    assert rms_dbfs(b"") == rms_dbfs(bytes(960)) == peak_dbfs(bytes(960)) == peak_dbfs(b"") == SILENCE_DBFS
