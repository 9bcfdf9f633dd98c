"""The sampler process: sources, tick loop, governor, watches."""
