"""Export a training checkpoint as a Hugging Face model folder with a model card."""
