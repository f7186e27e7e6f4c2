"""How much the record takes and one person may ask at once: the numbers in one place, fields that hold them, and the lane of heavy requests. Imports errors."""
