"""Reservations in Azure Cosmos DB, in the original system's containers."""
