"""docmill's engine: domain and use cases inside, adapters and wiring around them."""
