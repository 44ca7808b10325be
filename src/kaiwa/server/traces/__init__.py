"""What the house did, as OpenTelemetry traces: one for each conversation, relayed request and call of a hub.

Made from what `measures` measures and `gateway` tells. Only `exporting` knows OpenTelemetry's packages, and
nothing here is made when no collector is named: then nobody listens.
"""
