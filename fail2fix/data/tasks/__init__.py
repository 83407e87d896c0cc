"""Small self-contained tasks and models, so that the whole recipe runs without a model hub or a GPU."""
