"""What memwatchd costs on this machine: ``make bench``, or ``python -m bench`` once bench/floor is built."""
