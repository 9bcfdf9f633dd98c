"""The configuration: YAML to a validated, frozen model."""
