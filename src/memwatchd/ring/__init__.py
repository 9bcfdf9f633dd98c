"""The last samples in shared memory: segment format, writer, lock-free reader."""
