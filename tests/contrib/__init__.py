"""What `contrib/` has for those who watch the gateway goes by the gateway's own names."""
