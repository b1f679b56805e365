"""Models behind one interface: presets, loading, tokens, costs."""
