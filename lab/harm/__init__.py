"""Programs that harm the guest, and some that only live in it; started as units of their own."""
