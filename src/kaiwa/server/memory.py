"""The memory of a process that serves. What was loaded stays: nobody looks at it again, and it lies in large
pages.

Knows the collector and the kernel; nothing of what was loaded.
"""

from __future__ import annotations

import ctypes
import gc
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

# Python's usual 700 has the collector look at every second request.
_YOUNG_OBJECTS: Final = 10_000
_LARGE_PAGE: Final = 2 * 1024 * 1024
# MADV_COLLAPSE of Linux 6.1: it changes where memory lies, never what is in it.
_COLLAPSE: Final = 25
_FILLED: Final = 0.9
_MAPPING: Final = re.compile(
    r"^(?P<first>[0-9a-f]+)-(?P<end>[0-9a-f]+) rw-p \S+ \S+ 0 *(?:\[heap\])?\n"
    r"Size: +(?P<size>\d+) kB\n(?:\w+: .*\n)*?Rss: +(?P<used>\d+) kB$",
    re.MULTILINE,
)


def settle_memory() -> None:
    """Have what was loaded cost less from now on. For a process that serves, once all is loaded.

    The collector never again looks at it: that took a fifth of a second each time, in which every stream
    stood still. It comes to lie in large pages, in a thread of its own since copying it takes a while.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    if sys.platform == "linux":
        threading.Thread(target=use_large_pages, name="large pages", daemon=True).start()


def use_large_pages() -> None:
    """Move the heap into pages of 2 MB wherever it fills them; what the kernel refuses stays where it is.

    A processor finds its way to 512 times as much memory by each thing that it remembers of it. That counts
    for requests that come one by one, since others forget it for us in between.
    """
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    for first, end in _filled():
        start = -(-first // _LARGE_PAGE) * _LARGE_PAGE
        whole = (end - start) // _LARGE_PAGE * _LARGE_PAGE
        if whole > 0:
            advise(start, whole, _COLLAPSE)


def _filled() -> Iterator[tuple[int, int]]:
    """Return where memory begins and ends that belongs to no file and is nearly all in use.

    A stack is not: in large pages it would take what it was only promised.
    """
    for found in _MAPPING.finditer(Path("/proc/self/smaps").read_text()):
        if int(found["used"]) >= int(found["size"]) * _FILLED:
            yield int(found["first"], 16), int(found["end"], 16)
