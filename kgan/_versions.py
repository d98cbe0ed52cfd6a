"""The version of Keras, for features that older versions lack."""

import keras

KERAS = tuple(int(number) for number in keras.version().split(".")[:2])
