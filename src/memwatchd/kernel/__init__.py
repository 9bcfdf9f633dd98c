"""The only place with effects on the kernel: locking, scheduling, clocks, descriptors, kmsg."""
