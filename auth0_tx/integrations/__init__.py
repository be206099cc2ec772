"""What some frameworks need besides a request and a response."""
