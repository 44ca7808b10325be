"""Open an ONNX model for one thread of one processor. Knows onnxruntime's options; knows no model."""

from __future__ import annotations

from typing import Any

from kaiwa.errors import ConfigError, MissingPackage


def open_onnx(content: bytes, name: str) -> Any:
    """Return an inference session; it may be shared by threads.

    Raises ConfigError when onnxruntime is not installed or does not understand the model.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingPackage("speech", "onnxruntime", "local") from None
    ort: Any = onnxruntime
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.enable_cpu_mem_arena = False
    try:
        return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            "speech", f"{name} is no model that can be read.", "Install kaiwa again."
        ) from error
