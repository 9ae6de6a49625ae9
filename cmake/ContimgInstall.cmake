# `cmake --install build/release --prefix PREFIX` (with DESTDIR for packages): the programs, AOFlagger's engine where it was
# built, the service's unit, man pages and completions. docs/operations/install.md goes this way, and a test follows it.
include(GNUInstallDirs)
install(TARGETS contimg contimg-stream RUNTIME DESTINATION bin)
if(TARGET contimg_aoflagger)
  install(TARGETS contimg_aoflagger LIBRARY DESTINATION lib/contimg)
endif()
# The one place that knows where the service's program is: the unit names the prefix of this installation.
install(CODE [[
  set(unit_folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
]])
install(CODE "set(unit_source \"${PROJECT_SOURCE_DIR}/ops/systemd/contimg-stream.service\")")
install(CODE [[
  file(READ "${unit_source}" unit)
  string(REPLACE "ExecStart=/usr/bin/contimg-stream" "ExecStart=${CMAKE_INSTALL_PREFIX}/bin/contimg-stream" unit "${unit}")
  if(NOT unit MATCHES "ExecStart=${CMAKE_INSTALL_PREFIX}/bin/contimg-stream")
    message(FATAL_ERROR "the unit does not start ${CMAKE_INSTALL_PREFIX}/bin/contimg-stream")
  endif()
  file(WRITE "${unit_folder}/contimg-stream.service" "${unit}")
  message(STATUS "Installing: ${unit_folder}/contimg-stream.service")

  set(program "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/bin/contimg")
  set(share "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share")
  foreach(shell_file "bash bash-completion/completions/contimg" "zsh zsh/site-functions/_contimg"
                     "fish fish/vendor_completions.d/contimg.fish")
    string(REPLACE " " ";" shell_file "${shell_file}")
    list(GET shell_file 0 shell)
    list(GET shell_file 1 file)
    execute_process(COMMAND "${program}" generate completion ${shell} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
    file(WRITE "${share}/${file}" "${text}")
    message(STATUS "Installing: ${share}/${file}")
  endforeach()
  execute_process(COMMAND "${program}" generate man "${share}/man/man1" COMMAND_ERROR_IS_FATAL ANY)
  message(STATUS "Installing: ${share}/man/man1")
]])
