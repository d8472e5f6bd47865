// What Ray's API returns or holds that may be nothing.
//
// Purpose:  boost::optional, by which Ray's programs name it, where Boost's headers are there; else
//           std::optional.
// Owner:    values.
// Threads:  any.
#ifndef RAY_API_OPTIONAL_H_
#define RAY_API_OPTIONAL_H_

#if __has_include(<boost/optional.hpp>)
#include <boost/optional.hpp>
namespace ray {
namespace internal {
template <class T>
using Optional = boost::optional<T>;
}  // namespace internal
}  // namespace ray
#else
#include <optional>
namespace ray {
namespace internal {
template <class T>
using Optional = std::optional<T>;
}  // namespace internal
}  // namespace ray
#endif

#endif  // RAY_API_OPTIONAL_H_
