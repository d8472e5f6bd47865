// What user programs and librayx.so must agree on, however the user's compiler hides symbols.
//
// Purpose:  exceptions are caught, and functions found, across the border of the shared library.
#ifndef RAYX_DETAIL_VISIBILITY_H_
#define RAYX_DETAIL_VISIBILITY_H_

// On exception classes and on everything that librayx.so defines for public headers.
#define RAYX_PUBLIC __attribute__((visibility("default")))

#endif  // RAYX_DETAIL_VISIBILITY_H_
