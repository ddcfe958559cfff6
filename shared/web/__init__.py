"""What the HTTP side of every service shares: the application, errors, keys, and the origin in
front.
"""
