"""Server-Sent Events for the live page."""
