"""Bulk exchanges from the command line, killed on the way."""
