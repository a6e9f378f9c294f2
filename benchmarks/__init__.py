"""Benchmarks and fault trials; benchmarks/README.md says what each measures."""
