"""The companion cloud: ingest, time-series store, fleet API and live page, one folder a domain."""

__version__ = "0.1.0"
