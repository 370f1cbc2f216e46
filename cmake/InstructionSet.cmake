# fastdrop_instruction_set(<isa>
#     [TARGET <x86_64|aarch64>]    the only processor it exists on; without it, any
#     [FLAGS <flag>...]            what gcc and clang need for this one file
#     [MSVC_FLAGS <flag>...]       what Microsoft's compiler needs
#     [PROBE <C source>])          a few lines that compile exactly where the vocabulary does
#
# Adds csrc/isa/<isa>.c to FASTDROP_SOURCES where the compiler can build it, with its own flags.
# FASTDROP_BUILD_DEFINITIONS gets either FD_BUILD_<isa>=1 or FD_BUILD_NOTE_<isa>="why not", which
# show_config() passes on: an instruction set never goes missing in silence.

include_guard(GLOBAL)
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)

check_c_source_compiles("
#if !defined(__x86_64__) && !defined(_M_X64)
#error another target
#endif
int main(void) { return 0; }" FASTDROP_TARGET_x86_64)

check_c_source_compiles("
#if !defined(__aarch64__) && !defined(_M_ARM64)
#error another target
#endif
int main(void) { return 0; }" FASTDROP_TARGET_aarch64)

set(_fastdrop_target_name_x86_64 "an x86-64 target")
set(_fastdrop_target_name_aarch64 "a 64-bit Arm target")

# Sets <out> to the reason why the instruction set cannot be built, or to nothing.
function(_fastdrop_why_not out isa target flags probe)
  set(${out} "" PARENT_SCOPE)
  if(isa IN_LIST FASTDROP_WITHOUT)
    set(${out} "left out on request (FASTDROP_WITHOUT)" PARENT_SCOPE)
    return()
  endif()
  if(target AND NOT FASTDROP_TARGET_${target})
    set(${out} "not ${_fastdrop_target_name_${target}}" PARENT_SCOPE)
    return()
  endif()
  foreach(flag IN LISTS flags)
    string(MAKE_C_IDENTIFIER "FASTDROP_FLAG${flag}" known)
    check_c_compiler_flag("${flag}" ${known})
    if(NOT ${known})
      set(${out} "the compiler does not accept ${flag}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  if(NOT probe)
    return()
  endif()
  list(JOIN flags " " CMAKE_REQUIRED_FLAGS)
  check_c_source_compiles("${probe}" FASTDROP_COMPILES_${isa})
  if(NOT FASTDROP_COMPILES_${isa})
    set(${out} "the compiler does not know what it is written in" PARENT_SCOPE)
  endif()
endfunction()

function(fastdrop_instruction_set isa)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TARGET;PROBE" "FLAGS;MSVC_FLAGS")
  if(CMAKE_C_COMPILER_ID STREQUAL "MSVC")
    set(flags ${arg_MSVC_FLAGS})
  else()
    set(flags ${arg_FLAGS})
  endif()
  _fastdrop_why_not(why "${isa}" "${arg_TARGET}" "${flags}" "${arg_PROBE}")
  if(why)
    message(STATUS "Instruction set ${isa}: ${why}")
    list(APPEND FASTDROP_BUILD_DEFINITIONS "FD_BUILD_NOTE_${isa}=\"${why}\"")
  else()
    message(STATUS "Instruction set ${isa}: built")
    set_source_files_properties(csrc/isa/${isa}.c PROPERTIES COMPILE_OPTIONS "${flags}")
    list(APPEND FASTDROP_SOURCES csrc/isa/${isa}.c)
    list(APPEND FASTDROP_BUILD_DEFINITIONS "FD_BUILD_${isa}=1")
  endif()
  set(FASTDROP_SOURCES "${FASTDROP_SOURCES}" PARENT_SCOPE)
  set(FASTDROP_BUILD_DEFINITIONS "${FASTDROP_BUILD_DEFINITIONS}" PARENT_SCOPE)
endfunction()
