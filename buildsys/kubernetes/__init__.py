"""Domain knowledge: tables of Kubernetes and runtime facts, and the functions that read them."""
