"""`params.lr < 1e-3 and ...`: a text in, typed terms out. Pure, no Django; imports `config.errors` alone."""
