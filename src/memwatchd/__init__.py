"""memwatchd: a resident watchdog that records how a Linux machine runs out of memory.

The packages follow the way of the data; a lower one never imports a higher one:

    procfs -> ring -> signals -> sampling -> incidents -> views -> exporter, service -> cli
"""

__version__ = "0.1.0"
