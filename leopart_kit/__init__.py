"""leopart_kit: what do the patch tokens of a vision transformer know about objects and parts?"""

__version__ = "0.1.0"
