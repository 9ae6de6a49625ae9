// Standard output that is not lost silently.
#pragma once

namespace contimg::ops {

// A program started without standard streams (`>&-`) gets /dev/null for them, so that no file of its own takes their
// place and what is printed ends up in it. Call it first.
void KeepStandardStreams();

// Sends off what has been printed. Throws Error{kIo} when any of it did not get where it should (a full disk).
void FinishOutput();

}  // namespace contimg::ops
