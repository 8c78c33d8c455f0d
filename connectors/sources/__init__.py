"""Alert sources, one file a vendor: who may send, and what a body says."""
