"""The tree of arms by one metric: an address in; arms, nodes, where each lies, a page out. Imports `page` and `readings`."""
