"""What is measured, against what, and how to run it; results lie in benchmarks/results/."""
