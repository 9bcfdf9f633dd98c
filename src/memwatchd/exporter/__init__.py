"""The recorder's own figures and a few memory signals for Prometheus."""
