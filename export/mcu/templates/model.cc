#include "model.h"

namespace tinysight {

const char* const kLabels[kClasses] = {
$labels
};

// The weights are read in place: keep the alignment, and keep it const, so that it stays in flash.
alignas($alignment) const unsigned char kModel[kModelBytes] = {
$bytes
};

}  // namespace tinysight
