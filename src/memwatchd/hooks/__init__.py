"""The helper process that runs programs, so that the daemon itself never has to fork."""
