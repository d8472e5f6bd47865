// A user's own library, of which one VM may have another build: SHIPPED_ANSWER tells them apart.
#include "shipped_library.h"

int ShippedAnswer() {
  return SHIPPED_ANSWER;
}
