"""Where alerts are sent, and how: an outbox in the record, e-mail, signed webhooks. Imports the models; never what raised the alert."""
