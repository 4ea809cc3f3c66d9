// The test runner's main(), compiled once: Catch2 v2 is a header, and this is the slow part of it.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
