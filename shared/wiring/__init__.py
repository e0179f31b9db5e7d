"""Composition: which adapters stand behind the ports in each home."""
