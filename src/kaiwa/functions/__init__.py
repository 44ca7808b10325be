"""Azure Functions apps in Python on this machine: the host around the platform's own worker code, with
SignalR bindings that kaiwa's hub serves.

Knows functions, bindings and HTTP; nothing of conversations, and neither the house nor its settings.
"""
