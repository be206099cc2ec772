"""Requests and answers as the RFCs write them: values in, bytes out, and back."""
