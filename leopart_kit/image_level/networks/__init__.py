"""Networks beside the encoder: classifier, decoder, text encoder."""
