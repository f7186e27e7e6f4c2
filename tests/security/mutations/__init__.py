"""Takes each expression away that narrows a question to whose it is, and looks whether a test sees it.

`python -m tests.security.mutations` (`--quick` for half of them): nothing of the working tree is changed, each is taken away in the running process alone.
`scopes` finds them in the code, `taking_away` puts the changed function in the place of the real one, `trial` asks again what that function answers.
"""
