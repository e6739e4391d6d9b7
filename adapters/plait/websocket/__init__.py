"""What both sides' WebSockets share: the exchange and the methods."""
