"""The files of ``auth0-tx exchange-many``: its input, its results, and its journal."""
