# Interface targets for warnings and sanitizers, linked PRIVATE by every target of ours; never global flags.
add_library(regatta_warnings INTERFACE)
target_compile_options(regatta_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor
                                                  -Woverloaded-virtual -Wold-style-cast)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
  # False alarms of this compiler on std::string in operator+ and in aggregates with default member values.
  target_compile_options(regatta_warnings INTERFACE -Wno-restrict -Wno-maybe-uninitialized)
endif()
if(REGATTA_WERROR)
  target_compile_options(regatta_warnings INTERFACE -Werror)
endif()

add_library(regatta_sanitizers INTERFACE)
if(REGATTA_SANITIZE)
  target_compile_options(regatta_sanitizers INTERFACE -fsanitize=${REGATTA_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(regatta_sanitizers INTERFACE -fsanitize=${REGATTA_SANITIZE})
endif()
