"""SAMPLES: arithmetic on PCM16. Pure; knows no session, no clock and no device.

House audio is mono PCM16 little endian at 24 kHz, as bytes.
"""
