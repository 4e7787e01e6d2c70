# Apache ECharts, one JavaScript file that report.html embeds: REGATTA_ECHARTS names it; empty: what env/echarts.sh put into
# the prefix, and where there is none, report.html has static charts. A file of another checksum than that of
# env/versions.txt is refused. Sets REGATTA_ECHARTS_FOUND (empty: none) and REGATTA_ECHARTS_WHY for the summary.
file(STRINGS ${CMAKE_CURRENT_LIST_DIR}/../env/versions.txt _line REGEX " echarts ")
separate_arguments(_words UNIX_COMMAND "${_line}")
list(GET _words 3 REGATTA_ECHARTS_VERSION)
list(GET _words 4 _wanted)

set(_prefix $ENV{REGATTA_PREFIX})
if(NOT _prefix)
  set(_prefix $ENV{HOME}/.local/share/regatta)
endif()
set(REGATTA_ECHARTS_FOUND "${REGATTA_ECHARTS}")
if(NOT REGATTA_ECHARTS AND EXISTS ${_prefix}/echarts-${REGATTA_ECHARTS_VERSION}/echarts.min.js)
  set(REGATTA_ECHARTS_FOUND ${_prefix}/echarts-${REGATTA_ECHARTS_VERSION}/echarts.min.js)
endif()

if(REGATTA_ECHARTS STREQUAL "off")
  set(REGATTA_ECHARTS_FOUND "")
  set(REGATTA_ECHARTS_WHY "left out (REGATTA_ECHARTS=off): report.html has static charts")
elseif(NOT REGATTA_ECHARTS_FOUND)
  set(REGATTA_ECHARTS_WHY "not found: report.html has static charts (env/echarts.sh fetches it)")
else()
  if(NOT EXISTS ${REGATTA_ECHARTS_FOUND})
    message(FATAL_ERROR "REGATTA_ECHARTS: ${REGATTA_ECHARTS_FOUND}: no such file")
  endif()
  file(SHA256 ${REGATTA_ECHARTS_FOUND} _hash)
  if(NOT _hash STREQUAL _wanted)
    message(FATAL_ERROR "REGATTA_ECHARTS: ${REGATTA_ECHARTS_FOUND}: sha256 ${_hash}, that of ECharts ${REGATTA_ECHARTS_VERSION} is ${_wanted}; "
                        "env/echarts.sh fetches it, REGATTA_ECHARTS=off leaves it out")
  endif()
  set(REGATTA_ECHARTS_WHY "${REGATTA_ECHARTS_VERSION} ${REGATTA_ECHARTS_FOUND}")
endif()
