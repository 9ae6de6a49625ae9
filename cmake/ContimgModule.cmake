# One module = one folder = one static library. Every *.cc below the folder belongs to it, so no list can rot.
#   contimg_add_module(NAME USES <modules and rooms it may include> PUBLIC <foreign targets in its headers>
#                      LIBS <other foreign targets> CASACORE <foreign targets> [ROOM_BY_ROOM])
# A name with a slash (ops/base) is a room that is a library of its own.
# Sources in a folder casacore/ are the ones that include casacore: they are built as C++17 (casacore 3.5 does not
# compile as C++20), so the headers they share with the rest must be C++17-clean.
# ROOM_BY_ROOM: sources of different folders are never compiled as one, so that a program that needs one room of the
# module is not linked with what another one calls.
function(contimg_add_module name)
  cmake_parse_arguments(ARG "ROOM_BY_ROOM" "" "USES;PUBLIC;LIBS;CASACORE" ${ARGN})
  set(dir ${PROJECT_SOURCE_DIR}/${name})
  string(REPLACE "/" "_" plain ${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS ${dir}/*.h)
  set(casacore_sources ${sources})
  list(FILTER casacore_sources INCLUDE REGEX "/casacore/")
  list(FILTER sources EXCLUDE REGEX "/casacore/|/calibrate/aoflagger/")
  contimg_compile_alone(${sources})
  set(target contimg_${plain})
  if(NOT sources)
    set(sources ${PROJECT_SOURCE_DIR}/cmake/empty.cc)
  endif()
  add_library(${target} STATIC ${sources})
  add_library(contimg::${plain} ALIAS ${target})
  if(ARG_ROOM_BY_ROOM)
    set_target_properties(${target} PROPERTIES UNITY_BUILD_MODE GROUP)
    foreach(source ${sources})
      get_filename_component(room ${source} DIRECTORY)
      get_filename_component(room ${room} NAME)
      set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${room})
    endforeach()
  endif()
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR} FILES ${headers})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC contimg_options Threads::Threads ${ARG_PUBLIC} PRIVATE ${ARG_LIBS})
  foreach(used ${ARG_USES})
    string(REPLACE "/" "_" used ${used})
    target_link_libraries(${target} PUBLIC contimg_${used})
  endforeach()
  if(casacore_sources)
    # A program that needs one source of the module must not be linked with casacore because another one calls it.
    set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
    add_library(${target}_casacore OBJECT ${casacore_sources})
    set_target_properties(${target}_casacore PROPERTIES CXX_STANDARD 17)
    target_include_directories(${target}_casacore PRIVATE ${PROJECT_SOURCE_DIR})
    target_link_libraries(${target}_casacore PRIVATE contimg_options fmt::fmt ${ARG_CASACORE})
    if(CONTIMG_SANITIZE MATCHES "undefined")
      # casacore's inline allocator binds references to null on purpose; AddressSanitizer stays on.
      # (A source's own options come last on the command line, after the ones that switch the sanitizers on.)
      set_source_files_properties(${casacore_sources} PROPERTIES COMPILE_OPTIONS -fno-sanitize=undefined)
    endif()
    target_sources(${target} PRIVATE $<TARGET_OBJECTS:${target}_casacore>)
    target_link_libraries(${target} PRIVATE ${ARG_CASACORE})
  endif()
  contimg_add_room(${name} USES ${ARG_USES})
endfunction()

# Sources are compiled several at a time (CMAKE_UNITY_BUILD in CMakePresets.json): what they include is then read once,
# which is most of the work. So names in the anonymous namespaces of a module have to differ. Kernels that are compiled
# once for each instruction set (highway's foreach_target.h) read themselves again and stay alone; so does who calls a
# folder casacore/, for a program that needs another source of the module shall not link casacore for it.
function(contimg_compile_alone)
  foreach(source ${ARGN})
    file(STRINGS ${source} alone REGEX "hwy/foreach_target.h|#include \".*/casacore/" LIMIT_COUNT 1)
    if(alone)
      set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    endif()
  endforeach()
endfunction()

# A room is a folder whose includes are checked: its sources may include it, what it USES, and what lies below those.
# The longest name that fits a path owns it, so a room's rules are its own and not those of the folder around it.
function(contimg_add_room name)
  cmake_parse_arguments(ARG "" "" "USES" ${ARGN})
  list(JOIN ARG_USES "," uses)
  set_property(GLOBAL APPEND PROPERTY CONTIMG_MODULE_USES "${name}=${uses}")  # read by tests/lint
endfunction()

# Files that become part of a library, each the text that a function declared in `header` returns: FUNCTION=FILE…
function(contimg_embed target header)
  set(source ${PROJECT_BINARY_DIR}/embedded/${target}.cc)
  set(text "#include \"${header}\"\n\nnamespace contimg::ops {\n\n")
  foreach(pair ${ARGN})
    string(REPLACE "=" ";" pair ${pair})
    list(GET pair 0 name)
    list(GET pair 1 file)
    file(READ ${PROJECT_SOURCE_DIR}/${file} content)
    string(APPEND text "std::string_view ${name}() {\n  return R\"embedded(${content})embedded\";\n}\n\n")
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${file})
  endforeach()
  string(APPEND text "}  // namespace contimg::ops\n")
  set(old "")
  if(EXISTS ${source})
    file(READ ${source} old)
  endif()
  if(NOT old STREQUAL text)
    file(WRITE ${source} "${text}")
  endif()
  target_sources(${target} PRIVATE ${source})
endfunction()

# A program is a main() of a few lines over the rooms it uses.
function(contimg_add_program name source)
  add_executable(${name} ${PROJECT_SOURCE_DIR}/${source})
  target_link_libraries(${name} PRIVATE ${ARGN})
  target_compile_options(${name} PRIVATE ${CONTIMG_LIGHT_OPTIONS})
endfunction()

# All *_test.cc of a folder become one GoogleTest program, registered with CTest suite by suite.
function(contimg_add_tests target dir)
  cmake_parse_arguments(ARG "" "LABEL" "LIBS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${dir}/*.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${target} ${sources} ${PROJECT_SOURCE_DIR}/tests/test_main.cc)
  target_link_libraries(${target} PRIVATE ${ARG_LIBS} GTest::gtest GTest::gmock)
  if(ARG_LABEL STREQUAL unit)
    add_dependencies(unit_tests ${target})
    if(NOT target STREQUAL "unit_ops")
      add_dependencies(unit_tests_below_ops ${target})
    endif()
  endif()
  target_compile_options(${target} PRIVATE ${CONTIMG_LIGHT_OPTIONS})
  target_compile_definitions(${target} PRIVATE CONTIMG_SOURCE_DIR="${PROJECT_SOURCE_DIR}"
    CONTIMG_BIN_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake CONTENT
"set(program \"$<TARGET_FILE:${target}>\")
set(name ${target})
set(label ${ARG_LABEL})
include(\"${PROJECT_SOURCE_DIR}/cmake/DiscoverSuites.cmake\")
")
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES ${CMAKE_CURRENT_BINARY_DIR}/${target}_suites.cmake)
endfunction()
