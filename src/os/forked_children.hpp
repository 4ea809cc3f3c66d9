// A worker may host code that forks by itself (os.fork() in a Python application). Such a child knows nothing of
// prongd: it must not hold connections, whose clients would wait for their end, nor act on signals that are meant for
// the worker. What executes a program at once (posix_spawn, Python's subprocess) keeps neither anyway.
#pragma once

namespace prong::os {

// From now on, in children that are forked with fork(3): every descriptor that a UniqueFd owns is closed, and the
// signals of catch_to_pipe() get their default disposition, and `reset_more`, which may call only
// async-signal-safe functions, is called. Counts only
// UniqueFds that were made after this call. Once in a process, before its threads.
void isolate_forked_children(void (*reset_more)());

// UniqueFd's: a descriptor is owned, or is not any more. Nothing happens before isolate_forked_children().
void note_owned(int fd) noexcept;
void note_given_up(int fd) noexcept;

}  // namespace prong::os
