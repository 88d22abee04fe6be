// Whether a command makes sense by itself, before any book is looked at.
#pragma once

#include "openbell/messages.hpp"

namespace openbell {

// The first thing wrong with the command, in the order of Reason's codes; NONE if nothing is.
Reason command_check(const Command& command);

}  // namespace openbell
