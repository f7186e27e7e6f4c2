"""The list of hypotheses, the page of one, and the forms. Imports all other rooms of the app but its API."""
