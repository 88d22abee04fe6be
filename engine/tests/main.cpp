// Runs the tests of the room named on the command line, or all of them.
#include <cstring>

#include "check.hpp"

int main(int count, char** arguments) {
    int run = 0;
    for (const check::Test& test : check::tests()) {
        if (count > 1 && std::strcmp(arguments[1], test.room) != 0) continue;
        std::printf("%s: %s\n", test.room, test.name);
        test.run();
        ++run;
    }
    std::printf("%d passed\n", run);
    return run == 0 ? 1 : 0;
}
