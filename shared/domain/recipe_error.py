"""The one error of everything a person can get wrong in a recipe."""


class RecipeError(ValueError):
    """A recipe that can't be used: one line that says where, what, and what to do instead.

    Raised before anything is spent.
    """
