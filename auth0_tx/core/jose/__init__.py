"""Signed tokens and their keys (RFC 7515, 7517, 7519): checked, or refused with a reason."""
