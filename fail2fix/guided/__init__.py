"""A guided start: verified corrections of a model's own attempts, and chats made of them to imitate before training."""
