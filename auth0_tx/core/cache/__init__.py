"""Exchanged tokens kept for others: their key, their seal, their lifetime."""
