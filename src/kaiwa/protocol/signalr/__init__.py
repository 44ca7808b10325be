"""The SignalR hub protocol: bytes to messages and back, and one hub connection as a machine; pure."""
