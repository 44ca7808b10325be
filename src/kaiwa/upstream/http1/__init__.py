"""An HTTP/1.1 client for answers that stream: strict heads, bytes by callback, kept connections.

`heads` and `bodies` are pure; `connection` is one socket, `client` the kept ones of every origin, `tls` how
they are encrypted. Knows nothing of what is asked for.
"""
