"""Which Keras this is, for what older ones lack."""

import keras

KERAS = tuple(int(number) for number in keras.version().split(".")[:2])
