/* Everything that a vector instruction set has for one dtype. */
#include "dropout.h"
#include "family.h"
