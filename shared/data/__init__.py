"""Facts that age: prices and limits of models, as data with a source and a date."""
