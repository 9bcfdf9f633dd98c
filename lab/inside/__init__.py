"""What runs in the guest. Nothing here imports anything but the standard library and its own siblings."""
