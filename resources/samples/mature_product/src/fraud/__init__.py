"""Online fraud scoring of card payments."""
