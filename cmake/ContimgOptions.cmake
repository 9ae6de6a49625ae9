# Compiler-wide choices. Everything else is a target property.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Code that computes is optimised; code that parses, prints and talks (ops, tests) is not worth the compiler's time.
# Under sanitizers, optimising it would take three times as long as not to.
set(CONTIMG_LIGHT_OPTIONS $<$<CONFIG:Release>:-O1> $<$<CONFIG:RelWithDebInfo>:-O0 -g1>)
set(CMAKE_CXX_FLAGS_RELEASE "-O3")  # asserts stay on: a wrong index in a 24/7 service must stop the job, not spoil the product
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O1 -g1")  # lines in backtraces; all of -g takes the compiler nearly twice as long

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()

set(CONTIMG_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, for example address,undefined")
option(CONTIMG_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

add_library(contimg_options INTERFACE)
target_compile_options(contimg_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Werror
  # The two relaxed floating-point rules we accept. NaN, infinities, signed zeros and the order of additions keep
  # their meaning (flags travel as NaN, results must not depend on the compiler), so never -ffast-math.
  -fno-math-errno        # sqrt, sin… need not set errno: lets them be inlined
  -fno-trapping-math)    # nobody installs floating-point traps: lets comparisons be vectorised
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 sees overflows that are not there inside inlined fmt and standard library code.
  target_compile_options(contimg_options INTERFACE -Wno-stringop-overflow -Wno-array-bounds -Wno-restrict
                                                   -Wno-free-nonheap-object -Wno-maybe-uninitialized)
endif()
if(CMAKE_UNITY_BUILD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Says that a type of a header has a member of an anonymous namespace; the "header" is a source compiled with others.
  target_compile_options(contimg_options INTERFACE -Wno-subobject-linkage)
endif()
if(CONTIMG_SANITIZE)
  target_compile_options(contimg_options INTERFACE -fsanitize=${CONTIMG_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(contimg_options INTERFACE -fsanitize=${CONTIMG_SANITIZE})
  if(CONTIMG_SANITIZE MATCHES "undefined")
    target_compile_options(contimg_options INTERFACE -fno-sanitize-recover=undefined)
  endif()
  if(CONTIMG_SANITIZE MATCHES "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Boost.Asio has fences, which ThreadSanitizer does not follow: what it says of them would be errors.
    target_compile_options(contimg_options INTERFACE -Wno-tsan)
  endif()
endif()
