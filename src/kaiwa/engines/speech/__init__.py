"""The embedded speech models: bytes in, values out. Knows models; knows no session, socket or task.

Everything here is synchronous and may take milliseconds to seconds of processor time: call it in a worker
thread. The models release the interpreter lock while they work.
"""
