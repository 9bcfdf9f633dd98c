"""Taking strangers' names out of reports and incidents, so that they can be shared: values in, values out.

What stays has to be known to be harmless: a line is kept when every word that is left in it is one of the
kernel's own, a number, or a stand-in.
"""
