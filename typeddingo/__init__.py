from typeddingo.errors import *
