"""One experiment as its page shows it, and the forms that change it. Imports `readings`, `compare.outlook` and `lifecycle`."""
