"""Operations: one module per kind of action, parameters and `execute`."""
