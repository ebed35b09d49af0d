"""What goes over a socket: messages, their serialization, and how an address is bound."""
