// runtime/client/core/error_info.h
//
// Errors as the core carries them: encoded proto ErrorInfo.
//
// Purpose:  build the encoded errors that entries and frames hold.
// Owner:    no state.      Threads: any.
#pragma once

#include <cstdint>
#include <string>

#include "proto/types.pb.h"
#include "rayx/errors.h"

namespace rayx::client {

std::string EncodeError(ErrorCode code, const std::string& message);
// A death told by a daemon, as the error of what was running there.
std::string EncodeDeath(ErrorCode code, const std::string& what, const proto::DeathCause& cause,
                        uint32_t attempt = 0);
// For people: `app::Store "main"`.
std::string ActorLabel(const std::string& class_name, const std::string& name);
// Which actor's: a sentence of the head's begins with it, one of a daemon's does not.
std::string OfActor(const std::string& label, const std::string& sentence);
// What ended an actor, as its callers see it: the death of its process or VM and what its factory
// threw are the actor's own; the sentence says which.
std::string EncodeActorEnd(const std::string& label, proto::ErrorInfo cause);

}  // namespace rayx::client
