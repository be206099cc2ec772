"""Signed tokens and their keys (RFC 7515, 7517, 7519): verified, or refused with a reason."""
