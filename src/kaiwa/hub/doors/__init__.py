"""How a client's requests become a connection: negotiation and the three transports, over ASGI."""
