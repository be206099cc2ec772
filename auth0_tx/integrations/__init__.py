"""The client in web frameworks, task queues and telemetry: their settings, requests and habits."""
