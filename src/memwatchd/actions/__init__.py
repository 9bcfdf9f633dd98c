"""What can be done about it: one module for each action, and the registry that names them."""
