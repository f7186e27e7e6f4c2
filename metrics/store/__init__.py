"""The metric store in the product's own words, with all its SQL: questions in, plain columns out; what is kept of the answers. Imports `clickhouse`."""
