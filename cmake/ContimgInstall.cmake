# `cmake --install build/release --prefix PREFIX` (with DESTDIR for packages): the programs, AOFlagger's engine where it was
# built, the units and cron scripts, man pages and completions. docs/operations/install.md goes this way, and a test follows it.
include(GNUInstallDirs)
install(TARGETS contimg contimg-stream RUNTIME DESTINATION bin)
if(TARGET contimg_aoflagger)
  install(TARGETS contimg_aoflagger LIBRARY DESTINATION lib/contimg)
endif()
# The one place that knows where the programs are: the units and cron scripts name the prefix of this installation.
install(CODE [[
  set(unit_folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system")
  set(cron_folder "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/share/contimg/cron")
]])
install(DIRECTORY ${PROJECT_SOURCE_DIR}/ops/prometheus ${PROJECT_SOURCE_DIR}/ops/alertmanager
                  ${PROJECT_SOURCE_DIR}/ops/grafana ${PROJECT_SOURCE_DIR}/ops/logrotate
        DESTINATION ${CMAKE_INSTALL_DATADIR}/contimg)
install(CODE "set(ops_source \"${PROJECT_SOURCE_DIR}/ops\")")
install(CODE [[
  function(install_with_prefix file folder)
    file(READ "${file}" text)
    get_filename_component(name "${file}" NAME)
    string(REGEX REPLACE "(^|[= ])/usr/bin/contimg" "\\1${CMAKE_INSTALL_PREFIX}/bin/contimg" text "${text}")
    if(NOT name MATCHES "timer$" AND NOT text MATCHES "${CMAKE_INSTALL_PREFIX}/bin/contimg")
      message(FATAL_ERROR "${name} does not start ${CMAKE_INSTALL_PREFIX}/bin/contimg")
    endif()
    file(WRITE "${folder}/${name}" "${text}")
    message(STATUS "Installing: ${folder}/${name}")
  endfunction()
  file(GLOB units "${ops_source}/systemd/*.service" "${ops_source}/systemd/*.timer")
  foreach(unit ${units})
    install_with_prefix("${unit}" "${unit_folder}")
  endforeach()
  file(GLOB scripts "${ops_source}/cron/contimg-*")
  foreach(script ${scripts})
    install_with_prefix("${script}" "${cron_folder}")
    get_filename_component(name "${script}" NAME)
    file(CHMOD "${cron_folder}/${name}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
         WORLD_READ WORLD_EXECUTE)
  endforeach()

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
