"""Requests and responses of the web frameworks, as far as a login session needs them."""
