"""Pictures of classes: handwritten characters that are generated, published, or a user's own."""
