// What an operator is told about each code, in the order of the numbers.
//
// Whoever reads this was woken up by it: the cause says what happened, the effect what is not served now (and what
// still is), the action what to look at first.
#include <array>

#include "base/message_code.hpp"

namespace prong {
namespace {

using enum MessageCode;
constexpr MessageLevel kWarn = MessageLevel::kWarn;
constexpr MessageLevel kError = MessageLevel::kError;

constexpr std::array kMessages{
    Message{
        .code = kCannotStart,
        .level = kError,
        .summary = "cannot start",
        .cause = "Something that the daemon needs was not there; the line names it. When there were several reasons, "
                 "a line of its own stands before for each.",
        .effect = "Nothing is served. The process ends with status 3.",
        .action = "Mend what the line names and start again. For errors of the configuration `prongd --check` shows "
                  "them all without starting."},
    Message{.code = kConfigurationWrong,
            .level = kError,
            .summary = "an error in the configuration",
            .cause =
                "The configuration, at the file, line and column of the line, has a key that is not known, a value "
                "that cannot be, or names what does not exist.",
            .effect = "The whole configuration is not used: a start fails, and at a reload all goes on as before.",
            .action = "Mend it as the hint of the line says, look at it with `prongd --check`, and reload or start "
                      "again."},
    Message{
        .code = kCannotListen,
        .level = kError,
        .summary = "cannot listen on an address",
        .cause = "An address that a pool listens on, or the path of the control socket, cannot be had: another program "
                 "has it, it is none of this machine's, or the daemon may not use it.",
        .effect = "The whole configuration is not used: a start fails, and at a reload all goes on as before.",
        .action = "`ss -ltnp` shows who has a port. Ports below 1024 need root or CAP_NET_BIND_SERVICE (in the unit: "
                  "AmbientCapabilities=)."},
    Message{
        .code = kCannotOpenLog,
        .level = kError,
        .summary = "cannot open a log file",
        .cause = "The file of [log] or of an access log cannot be opened for writing, or the journal does not answer; "
                 "the line says why.",
        .effect = "The whole configuration is not used: a start fails, and at a reload all goes on as before.",
        .action = "Look at the folder: it must exist, and the user that prongd runs as must be able to write there. "
                  "Under systemd it must be among ReadWritePaths= or LogsDirectory=."},
    Message{
        .code = kSocketsUnused,
        .level = kWarn,
        .summary = "systemd passed sockets that no pool listens on",
        .cause = "A .socket unit of this service hands over a socket whose name (FileDescriptorName=) stands in no "
                 "pool's `listen`.",
        .effect = "Clients can connect to it, and nobody ever accepts them.",
        .action = "Add `listen = [\"systemd:NAME\"]` to the pool that is meant, or remove the socket from the unit."},

    Message{.code = kReloadFailed,
            .level = kError,
            .summary = "a reload failed",
            .cause =
                "The new configuration has an error, something in it cannot be had, or a worker of the new generation "
                "could not start; the line says which, and lines before it say all.",
            .effect = "None for clients: the generation before goes on, whole. The changes are not in force.",
            .action = "Mend what the line names and reload again. `prongctl reload --plan` looks at the configuration "
                      "without changing anything."},
    Message{.code = kReloadIgnored,
            .level = kWarn,
            .summary = "a reload was ignored because the daemon is stopping",
            .cause = "A HUP came while the daemon was stopping already.",
            .effect = "None: what a reload would change is about to end.",
            .action = "Nothing. The next start reads the configuration as it is then."},
    Message{.code = kUpgradeUnknown,
            .level = kWarn,
            .summary = "an upgrade in place was asked for, which this version cannot do",
            .cause = "Somebody sent USR2 to the master.",
            .effect = "None: everything goes on.",
            .action = "To run another binary restart the service; with socket activation no connection is refused "
                      "meanwhile (docs/systemd.md)."},
    Message{.code = kAdjustmentIgnored,
            .level = kWarn,
            .summary = "a change of the number of workers was ignored",
            .cause = "TTIN or TTOU came before the daemon was ready, or while it was stopping.",
            .effect = "The number of workers is what it was.",
            .action = "Send it again when `prongctl status` says that the daemon is serving, or use `prongctl scale`."},

    Message{
        .code = kWorkerCrashed,
        .level = kError,
        .summary = "a worker crashed",
        .cause =
            "A signal that means a fault of the program itself ended it: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, "
            "SIGTRAP or SIGSYS. The application, or a native library that it uses, is the first suspect.",
        .effect = "The requests that it was in are lost, no others; the line names them. Another worker was started at "
                  "once.",
        .action = "Try the named request alone. `coredumpctl` shows the stack if a core was dumped (rlimits.core); a "
                  "Python application's stack stands in the lines before. If prongd itself is in it, please report."},
    Message{.code = kWorkerKilled,
            .level = kError,
            .summary = "a worker was killed by SIGKILL, and not by the master",
            .cause =
                "Most often the kernel's out-of-memory killer, of the machine or of the service's cgroup (MemoryMax=); "
                "else an operator or another program.",
            .effect = "The requests that it was in are lost, no others. Another worker was started at once.",
            .action =
                "`journalctl -k -g 'out of memory|oom-kill'` tells whether it was memory. Then lower `workers` or "
                "`threads`, let workers retire earlier with `max_memory`, or give the service more."},
    Message{
        .code = kWorkerEndedBySignal,
        .level = kError,
        .summary = "a worker or a program was ended by a signal that nobody here sent",
        .cause = "A signal such as SIGTERM, SIGALRM or SIGXCPU that is no fault of memory and that the master did not "
                 "send: an operator, a limit (rlimits.cpu, rlimits.fsize), or a timer of the application.",
        .effect = "What it was in is lost, nothing else. Another worker was started at once.",
        .action = "Look up the signal in signal(7). To have a worker replaced without loss use `prongctl recycle`."},
    Message{.code = kWorkerExited,
            .level = kError,
            .summary = "a worker left without being asked to",
            .cause =
                "The application, or a library, ended the process (exit(), os._exit()), or the program of an exec pool "
                "ended while it should serve.",
            .effect =
                "The requests that it was in are lost, no others. Another one was started, with growing pauses if it "
                "had never served.",
            .action = "Look for what it said before (lines with `output:`), and for calls that end the process in the "
                      "application."},
    Message{.code = kWorkerCannotStart,
            .level = kError,
            .summary = "a worker could not start, and said why",
            .cause =
                "The application cannot be loaded, or what the worker needs cannot be had: the end of the line is its "
                "own reason, and a traceback may stand in the lines before.",
            .effect =
                "At the start of the daemon: after start_attempts it ends. At a reload: the reload fails, and all goes "
                "on. Else the other workers serve, and it is tried again with growing pauses.",
            .action = "Mend the reason, then reload or start again."},
    Message{
        .code = kWorkerDiedInStart,
        .level = kError,
        .summary = "a worker died before it was ready, without a word",
        .cause = "While it was loading the application it crashed, was killed, or the application ended the process.",
        .effect = "As when it cannot start (PR0305).",
        .action =
            "Look at the signal or status in the line, and at what it said before (lines with `output:`). SIGKILL "
            "means most often that memory ran out."},
    Message{.code = kWorkerStartTooSlow,
            .level = kError,
            .summary = "a worker was not ready within start_timeout",
            .cause =
                "Loading the application took too long, or hangs: a database or a file system that does not answer. A "
                "program with `ready` has not said that it is.",
            .effect = "As when it cannot start (PR0305).",
            .action = "Find out what it waits for (the line may end with its Python stack), or raise the pool's "
                      "`start_timeout`."},
    Message{
        .code = kWorkerStopTooSlow,
        .level = kError,
        .summary = "a worker was killed because it did not stop in time",
        .cause = "It had been asked to stop, by a reload, a stop or a recycle, and had not left when graceful_timeout "
                 "was over and SIGTERM had not helped either: its application is stuck in a request.",
        .effect = "The requests that it was in are lost; the line names them.",
        .action = "Look at the named requests. If they may take that long raise the pool's `graceful_timeout`, else "
                  "lower `request_timeout`."},
    Message{.code = kWorkerLost,
            .level = kError,
            .summary = "a worker was killed because the master lost contact with it",
            .cause =
                "Its channel to the master was closed, or carried what is no message: the application closes or writes "
                "to descriptors that are not its own, or overwrites memory.",
            .effect = "The requests that it was in are lost, no others. Another worker was started.",
            .action =
                "Look in the application for code that closes all descriptors (os.closerange()). If there is none, "
                "please report it."},
    Message{.code = kWorkerHung,
            .level = kError,
            .summary = "a worker was ended because it overran a deadline",
            .cause =
                "Its application was in one call for longer than request_timeout, and nothing else could go on in "
                "the worker: any call in concurrency `event`, a timer or a posted function of a module in `process`.",
            .effect = "All connections of that worker are lost, no others. Another worker was started at once.",
            .action = "Look at the request that the line names; `coredumpctl` shows the stack if a core was dumped "
                      "(rlimits.core). What may wait belongs in concurrency `thread` or `process`; if it may take that "
                      "long, raise request_timeout."},
    Message{.code = kProgramNotExecuted,
            .level = kError,
            .summary = "the program of an exec pool cannot be executed",
            .cause = "The file of `command` is not there, may not be executed, or its interpreter (#!) is missing.",
            .effect = "Clients of the pool are disconnected without an answer.",
            .action = "Try the command by hand as the user of the pool."},

    Message{.code = kStopNeedsTerm,
            .level = kWarn,
            .summary = "a worker did not stop within its grace and was sent SIGTERM",
            .cause =
                "It had been asked to stop, and its application was still in a request when graceful_timeout was over.",
            .effect = "None yet. If it does not leave soon it is killed (PR0308).",
            .action =
                "`prongctl workers` shows which request it is in. If requests may take that long raise the pool's "
                "`graceful_timeout`."},
    Message{.code = kKillWithoutEffect,
            .level = kError,
            .summary = "a worker is still there after SIGKILL",
            .cause = "It hangs in the kernel: a disk, an NFS server or a driver does not answer.",
            .effect = "Its slot stays empty, and a stop of the daemon waits for it. SIGKILL is sent again and again.",
            .action =
                "`cat /proc/PID/stack` and `dmesg` show where. Mend the device or unmount the file system (`umount "
                "-f`); no signal helps."},
    Message{.code = kCannotSignalWorker,
            .level = kError,
            .summary = "the master cannot send a signal to a worker",
            .cause =
                "The kernel refuses it: the worker runs as another user and the master has given up CAP_KILL, or a "
                "security module forbids it.",
            .effect = "A worker that should be killed stays.",
            .action = "Let the unit keep CAP_KILL for pools with `user`, and end the process by hand."},
    Message{
        .code = kForkFailed,
        .level = kError,
        .summary = "no worker can be started: fork failed",
        .cause = "The limit of processes (TasksMax= of the unit, RLIMIT_NPROC, pids.max) is reached, or there is no "
                 "memory.",
        .effect = "The workers that run go on; dead ones are not replaced until it works again. It is tried again and "
                  "again.",
        .action = "Compare `systemctl show -p TasksCurrent,TasksMax prongd` and `free -m`; raise the limit or lower "
                  "`workers` and `threads`."},
    Message{.code = kForkWorksAgain,
            .level = kWarn,
            .summary = "fork works again",
            .cause = "What made fork fail (PR0404) is over.",
            .effect = "The pool is brought back to its number of workers.",
            .action = "Find out what had used up processes or memory, so that it does not come back."},
    Message{.code = kReplacementFailed,
            .level = kWarn,
            .summary = "a worker that should be replaced goes on serving",
            .cause = "The worker that should take its place could not start; its obituary stands before.",
            .effect = "None for clients. The old worker goes on, and the replacement is tried again.",
            .action = "Mend what the obituary before says: probably the application has changed since it was loaded."},
    Message{.code = kLauncherFailed,
            .level = kWarn,
            .summary = "the launcher of an exec pool failed",
            .cause = "The small process that starts spares faster has died or did not start; the line says why.",
            .effect =
                "Clients notice nothing but a start that takes a millisecond longer: the master forks the spares until "
                "another launcher works.",
            .action = "Nothing if it stays at one line. If it comes back look at limits of processes and memory."},
    Message{
        .code = kConnectionsCut,
        .level = kWarn,
        .summary = "connections were cut at the end of the grace",
        .cause =
            "A worker had to leave, and clients or the application had not finished when graceful_timeout was over.",
        .effect = "The clients of these connections got no whole answer.",
        .action = "Raise the pool's `graceful_timeout` if requests may take that long. Connections that live forever "
                  "(streams) are always cut."},
    Message{.code = kMasterNotTold,
            .level = kWarn,
            .summary = "a worker leaves, and cannot tell the master",
            .cause =
                "The channel to the master is full or closed: the master was stopped (SIGSTOP, a debugger) or is gone.",
            .effect = "The worker finishes what it has; its obituary does not say why it left.",
            .action = "Look whether the master runs: `prongctl status`."},
    Message{.code = kMasterGone,
            .level = kError,
            .summary = "the master is gone",
            .cause = "The master died without stopping its workers: SIGKILL, the out-of-memory killer, or a bug.",
            .effect =
                "All workers finish what they have and are gone within a second. Nobody serves until the daemon is "
                "started again; under systemd Restart= does that.",
            .action = "`journalctl -k` tells about memory, `coredumpctl` about a crash; please report the latter."},
    Message{.code = kReadyNotTold,
            .level = kError,
            .summary = "a worker cannot say that it is ready",
            .cause = "Its channel to the master does not work, most often because the master is gone.",
            .effect = "The master will take it for one that hangs in its start, and kill it (PR0307).",
            .action = "Look for the lines of the master at the same time."},
    Message{.code = kChannelNotRead,
            .level = kWarn,
            .summary = "a worker does not read what the master tells it",
            .cause =
                "Its channel is full: it has not run for a long time, because it was stopped (SIGSTOP, a debugger) or "
                "because code that should not block does (`concurrency = \"event\"`).",
            .effect =
                "It goes on as it was, as the line says: with the old log file, access log or log level, or accepting "
                "in a paused pool. After a rotation its lines go to the file that was moved away.",
            .action = "`prongctl workers` shows what it is at. `prongctl recycle POOL/SLOT` replaces it."},
    Message{.code = kMemoryNotMeasured,
            .level = kWarn,
            .summary = "max_memory does nothing, since memory cannot be measured",
            .cause =
                "The file of /proc that the line names cannot be read: hidden by ProcSubset= or hidepid, or a kernel "
                "without it.",
            .effect = "Workers of the pool do not retire for their memory; other limits hold.",
            .action = "Let the service see its own /proc, or choose another `memory_measure`."},
    Message{.code = kMemoryLimitTooLow,
            .level = kWarn,
            .summary = "a worker is above max_memory soon after its start",
            .cause = "It needs more than `max_memory` from the beginning, or its memory grows very fast.",
            .effect =
                "It serves on until it is older than memory_grace, then it is replaced. A limit that is too low makes "
                "this a circle without end.",
            .action =
                "Raise `max_memory` above what a fresh worker needs, as `prongctl status` shows it, or mend the leak."},
    Message{.code = kPythonStackUnreadable,
            .level = kWarn,
            .summary = "the Python stack of a dead worker cannot be read",
            .cause =
                "The file in memory into which a crashing interpreter writes its stack cannot be read; the line says "
                "why.",
            .effect = "The obituary does not say where in the Python code it was.",
            .action = "Nothing; the rest of the obituary holds. Look at the core if there is one."},

    Message{
        .code = kRequestOverran,
        .level = kError,
        .summary = "a request overran request_timeout",
        .cause = "The application was still at it when the time of `request_timeout` was over: a query, a lock or a "
                 "service behind it does not answer, or it works that long.",
        .effect =
            "Its client got an error (504) or was disconnected. The thread is lost, so the worker finishes what it "
            "has and another one takes its place.",
        .action = "Find out what that request waits for. If it may take that long raise the pool's `request_timeout`."},
    Message{.code = kRequestWaitedTooLong,
            .level = kWarn,
            .summary = "a request waited too long for a thread",
            .cause = "All application threads of the worker were busy for the whole `request_timeout`.",
            .effect = "Its client got an error (504) without the application having seen the request.",
            .action =
                "`prongctl workers` shows what the threads are at. Raise `threads` or `workers`, or make the slow "
                "requests faster."},
    Message{.code = kApplicationFailed,
            .level = kError,
            .summary = "the application failed in a request",
            .cause =
                "It raised an exception that it did not handle, or broke the rules of its interface (WSGI); a Python "
                "traceback stands in lines with `output:`.",
            .effect = "The client got an error (500), or a cut answer if it had begun. The worker goes on.",
            .action = "Mend the application. More failures within a second are counted and not told one by one."},
    Message{
        .code = kAnswerNotSpooled,
        .level = kWarn,
        .summary = "a streamed answer waits in its thread instead of on disk",
        .cause =
            "The file in http.body_dir that holds what a slow client has not taken yet cannot be written: no space, "
            "no permission, or output_spool is used up.",
        .effect = "An application thread is kept as long as that client takes. Nothing is lost.",
        .action = "Look at the space of `http.body_dir` and at who may write there."},
    Message{.code = kClientRefused,
            .level = kWarn,
            .summary = "a client has max_per_address connections already",
            .cause =
                "One address holds as many connections to an exec pool as `max_per_address` allows, and opened another "
                "one.",
            .effect = "That connection was closed at once; others are not touched.",
            .action =
                "Nothing against a single greedy client: it is what the limit is for. Raise `max_per_address` if many "
                "clients share one address (a proxy, NAT)."},
    Message{.code = kModuleFailed,
            .level = kError,
            .summary = "a module failed beside a request",
            .cause =
                "A timer, a descriptor's function, drain() or stop() of a C++ module has thrown or called fail(), or "
                "it gave an answer or a metric that cannot be; the text says which.",
            .effect = "What it was about is not done; a request was answered with 500. The worker goes on.",
            .action = "Mend the module; see docs/modules.md."},
    Message{.code = kModuleWarns,
            .level = kWarn,
            .summary = "a module wrote a warning",
            .cause = "The module called log() of the SDK with the level PRONG_WARNING.",
            .effect = "None of prongd's making.",
            .action = "Ask the module's author."},
    Message{.code = kModuleComplains,
            .level = kError,
            .summary = "a module wrote an error",
            .cause = "The module called log() of the SDK with the level PRONG_ERROR.",
            .effect = "None of prongd's making.",
            .action = "Ask the module's author."},
    Message{.code = kAnswerOverdue,
            .level = kWarn,
            .summary = "an answer that was to come later took longer than request_timeout",
            .cause =
                "A module in `event` concurrency has deferred an answer, or let a streamed body wait, and has not gone "
                "on with it in time.",
            .effect = "The client got 504, or a cut answer if it had begun. The worker goes on.",
            .action = "Raise `request_timeout` of the pool, or mend the module."},
    Message{
        .code = kStreamTooSlow,
        .level = kWarn,
        .summary = "a client did not take what a module sent",
        .cause = "More than `stream.max_output` was waiting for one client of a stream module in `event` concurrency.",
        .effect = "That connection was cut with a reset; others are not touched.",
        .action = "Nothing against a single slow client. Raise `stream.max_output`, or let the module heed what "
                  "send() gives back."},
    Message{.code = kFileCutShort,
            .level = kWarn,
            .summary = "a file could not be sent to its end",
            .cause = "It was written over in place, or truncated, after its size had been told to the client; or it "
                     "cannot be read, and the line says why.",
            .effect =
                "The connections that were in the middle of it were cut, which tells their clients that the file is "
                "not whole.",
            .action = "Put new files in the place of old ones by install(1) or mv(1): whoever is sent the old one gets "
                      "it to its end. After an input or output error, look at the disk."},

    Message{.code = kBacklogCut,
            .level = kWarn,
            .summary = "the kernel cuts the backlog of a listener",
            .cause = "`backlog` is larger than the kernel's limit net.core.somaxconn.",
            .effect = "Fewer connections can wait than configured; in a burst more are refused or delayed.",
            .action = "`sysctl -w net.core.somaxconn=N` (and a file in /etc/sysctl.d), or lower `backlog`."},
    Message{.code = kListenerOptionsKept,
            .level = kWarn,
            .summary = "new options of a listener could not be set",
            .cause =
                "The kernel or the file system refused an option that a reload changed on a listener that stays open; "
                "the line says which.",
            .effect = "The listener goes on with its old options. All else of the reload holds.",
            .action = "Mend the reason and reload again. Some options need the listener to be opened anew: restart."},
    Message{.code = kAcceptModeNotSet,
            .level = kError,
            .summary = "a listener could not be made blocking or non-blocking",
            .cause =
                "The kernel refused to change a flag of the socket; only a bug or a security module can be the reason.",
            .effect = "A program that accepts by itself may get another kind of socket than it expects.",
            .action = "Look whether the pool serves; restart the daemon, and please report it."},
    Message{.code = kCannotAccept,
            .level = kError,
            .summary = "connections cannot be accepted",
            .cause =
                "The kernel refuses new connections: no memory, the whole machine's file table is full (ENFILE), or a "
                "fault of the network.",
            .effect =
                "New connections wait in the queue, then are refused; open ones are served. It is tried again after a "
                "moment.",
            .action = "Compare /proc/sys/fs/file-nr with fs.file-max, look at `free -m` and `dmesg`."},
    Message{.code = kDescriptorsSpent,
            .level = kError,
            .summary = "a worker has no descriptor left for a new connection",
            .cause = "The limit of open files of the process is reached (EMFILE), by connections or by files that the "
                     "application leaves open.",
            .effect = "New connections wait in the queue, other workers may take them; open ones are served.",
            .action = "Raise `rlimits.nofile`, or lower `max_connections`. `ls -l /proc/PID/fd` shows what is open."},
    Message{
        .code = kConnectionsAtLimit,
        .level = kWarn,
        .summary = "a worker holds as many connections as its descriptors allow",
        .cause = "So many clients keep a connection open that the limit of open files is near.",
        .effect = "New connections wait in the queue until another one ends; nothing is lost.",
        .action =
            "Raise `rlimits.nofile`, add workers, or lower `http.idle_timeout` so that idle clients leave earlier."},
    Message{.code = kCannotWatchListener,
            .level = kError,
            .summary = "a worker cannot wait for connections",
            .cause =
                "The kernel refused to watch a listener: the limit fs.epoll.max_user_watches is reached, or memory is "
                "short.",
            .effect = "This worker takes no connections from that listener; others do.",
            .action = "Raise the limit or free memory, then `prongctl recycle POOL`."},

    Message{.code = kNoControlSocket,
            .level = kWarn,
            .summary = "there is no control socket",
            .cause =
                "The default place cannot be used: there is no runtime directory, or another prongd listens there; the "
                "line says which.",
            .effect = "`prongctl` cannot reach this daemon, and `systemctl reload` that uses it fails. All else works.",
            .action =
                "Set `control.socket` to a path of its own for each daemon, and give it to `prongctl --socket`; or "
                "`\"off\"` to be without."},
    Message{.code = kControlOptionsKept,
            .level = kWarn,
            .summary = "new options of the control socket could not be set",
            .cause = "Mode or group of the socket file could not be changed at a reload; the line says why.",
            .effect = "The control socket goes on with its old options.",
            .action = "Mend the reason and reload again: the daemon may only give files to groups that it is in."},
    Message{
        .code = kControlSocketFailed,
        .level = kError,
        .summary = "the control socket cannot be used",
        .cause = "The kernel refused to watch it: the limit fs.epoll.max_user_watches is reached, or memory is short.",
        .effect = "`prongctl` cannot reach this daemon. All else works.",
        .action = "Free memory or raise the limit, then reload by `kill -HUP`."},

    Message{.code = kLogNotReopened,
            .level = kError,
            .summary = "the log file could not be opened again",
            .cause = "After USR1 or `prongctl reopen-logs` the file of [log] cannot be opened; the line says why.",
            .effect = "Lines go on to the file that was moved away.",
            .action = "Look at permissions of the folder, then send USR1 again. Rotation must create the file for the "
                      "daemon's user, or leave that to prongd."},
    Message{.code = kAccessLogNotReopened,
            .level = kError,
            .summary = "an access log could not be opened again",
            .cause = "After USR1 or `prongctl reopen-logs` the file cannot be opened; the line says why.",
            .effect = "Lines go on to the file that was moved away.",
            .action = "Look at permissions of the folder, then send USR1 again."},
    Message{.code = kAccessLogNotWritten,
            .level = kError,
            .summary = "an access log cannot be written",
            .cause = "The file system is full or broken, or the reader of a pipe is too slow.",
            .effect =
                "Requests are served. A few lines wait in memory, more are lost; a line tells the number when it works "
                "again.",
            .action = "Look at `df` for the file's folder, or at the program that reads the pipe."},
    Message{.code = kLogNotWritten,
            .level = kError,
            .summary = "the log cannot be written",
            .cause =
                "The file system of [log] is full or broken, its reader is too slow, or the journal does not answer. "
                "This line comes on standard error, since the log cannot tell it.",
            .effect = "Lines of the log are lost until it works again; everything is served as before.",
            .action = "Look at `df` for the log's folder, or at `systemctl status systemd-journald`."},
    Message{.code = kLogLinesLost,
            .level = kWarn,
            .summary = "lines of the log were lost for a while",
            .cause = "What made the log fail (PR0804) is over; the line tells how many lines are missing before it.",
            .effect = "The log has a gap.",
            .action = "Find out what had filled the disk or stopped the reader."},
    Message{.code = kAccessLogLinesLost,
            .level = kWarn,
            .summary = "a worker ended with lines of an access log that it could not write",
            .cause = "The access log could not be written (PR0803) until the worker was gone.",
            .effect = "These requests were served, and are missing in the access log.",
            .action = "As for PR0803."},

    Message{
        .code = kSlotEventUnexpected,
        .level = kError,
        .summary = "internal: an event that should not be possible",
        .cause = "A bug of prongd: something happened to a worker that its state does not allow.",
        .effect = "The event was ignored and everything goes on; the worker may not be what `prongctl workers` says.",
        .action = "Please report it with the log before this line. `prongctl recycle POOL/SLOT` brings the slot in "
                  "order."},
    Message{.code = kEventLoopFailed,
            .level = kError,
            .summary = "internal: waiting for events failed",
            .cause =
                "The kernel refused epoll_wait(2), which only a bug can cause: prongd's, or code in the process that "
                "closes descriptors that are not its own.",
            .effect = "The process, a worker or the master, stops; under systemd a master is started again.",
            .action = "Look in the application for code that closes all descriptors; else please report it."},
};

}  // namespace

std::span<const Message> all_messages() {
  return kMessages;
}

}  // namespace prong
