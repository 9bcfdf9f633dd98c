"""The service's main process: supervises the sampler, catches kills, writes incidents."""
