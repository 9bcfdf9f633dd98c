"""What a person sees of a ring or an incident, as text."""
