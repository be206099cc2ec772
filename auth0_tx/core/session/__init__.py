"""The login session as values: its state, cookies, seal, and where it is stored."""
