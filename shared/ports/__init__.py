"""What the use cases need of the world, as interfaces with their errors."""
