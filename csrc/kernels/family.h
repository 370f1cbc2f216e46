/* All element-wise kernels on the arithmetic vocabulary; included once for each dtype. */
#include "walk.h"

#include "add.h"
#include "act.h"
#include "zoneout.h"
#include "mix.h"
#include "affine.h"
#include "noise.h"
#include "softmax.h"

#include "tiles.h"
#include "product.h"
#if defined(FD_DIRECT_MASKS)
#include "drawn.h"
#endif
#include "dropconnect.h"
#include "norm.h"
