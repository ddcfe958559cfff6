"""Small numpy models and features. Nothing here loads the inference engine."""
