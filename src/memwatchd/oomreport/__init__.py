"""The OOM text of the kernel, read line by line. Pure: lines in, facts out."""
