"""Learning and evaluation of whole images, which the dense methods stand on."""
