"""What proxies say."""
