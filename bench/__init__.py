"""What `make bench` runs: figures of this machine, named in docs/benchmarks.md, kept in bench/latest.json."""
