/* The SDK of prongd for modules: the C ABI.
 *
 * A module is a shared library with one symbol, prong_module_entry, which says what its callbacks are. prongd loads it
 * in each worker of a pool and calls them; what they need of prongd they call through a table of functions (prong_api),
 * so that a module links with nothing of prongd. From C++, include prong/module.hpp instead, which is a comfortable
 * face of this one. From other languages, this header is all there is to bind to.
 *
 *   #include <prong/module.h>
 *
 *   static const prong_api* prong;
 *
 *   static int start(const prong_api* api, prong_worker* worker, void** state) {
 *     prong = api;
 *     return PRONG_OK;
 *   }
 *   static void request(void* state, const prong_request* request, prong_exchange* exchange, void* upload) {
 *     prong_response response = {.size = sizeof response, .status = 200, .body = prong_string("hello\n")};
 *     prong->respond(exchange, &response);
 *   }
 *   PRONG_EXPORT const prong_module prong_module_entry = {
 *       .size = sizeof(prong_module), .abi = PRONG_ABI, .name = "hello", .start = start, .request = request};
 *
 *   cc -shared -fPIC $(pkg-config --cflags prong) hello.c -o hello.so && prongd --module ./hello.so
 *
 * Rules that hold everywhere:
 *  - Memory. What prongd gives to a callback lives until that callback returns, unless it says otherwise. What a module
 *    gives to a function is copied, unless it says otherwise.
 *  - Text is bytes with a size, not ended by a NUL, in no particular encoding.
 *  - Pointers may not be NULL unless it says so; this holds for functions that are handed over as well.
 *  - Threads. By the pool's `concurrency` (prong_model): in `event` all callbacks come on one thread and none may
 *    block; in `process` all on one thread, and they may block; in `thread` request() and serve() come on several
 *    threads at once. start() and stop() come on the worker's main thread. A function of prong_api is for the thread
 *    of a callback, while it runs, except those marked "any thread", which a thread of the module's own may call from
 *    start() on until the process ends. In `thread` timers, posted functions and drain() run one at a time, on whatever
 *    thread is free; requests run beside them.
 *  - Waiting. No function of prong_api blocks unless it says so.
 *  - Failure. Nothing may be thrown across this ABI. A callback that cannot do its work says fail() and returns.
 *    Functions that give an int give PRONG_OK, or below 0 why nothing was done.
 *  - Processes. Each worker has its own copy of everything; a crash ends that one worker, and prongd replaces it. A new
 *    version of the library is loaded by a reload, into new workers: nothing is ever unloaded. Replace the file by
 *    install(1) or mv(1): one that is overwritten in place is pulled away from under the workers that run it.
 *  - Versions. Every struct begins with its size, and grows at its end only. A module that was built for an older
 *    version runs on a newer prongd; one that was built for a newer version is refused with both versions named.
 */
#ifndef PRONG_MODULE_H
#define PRONG_MODULE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __cplusplus
extern "C" {
#else
#include <stdbool.h>
#endif
/* NOLINTBEGIN: this is C, and its names are C's */

/* The version of this ABI: raised whenever anything is appended to it. For prong_module.abi. */
#define PRONG_ABI 1u

/* Lets a symbol be found in a library that is built with -fvisibility=hidden: prong_module_entry has to be. */
#define PRONG_EXPORT __attribute__((visibility("default")))

typedef struct prong_text {
  const char* data; /* may be NULL when size is 0 */
  size_t size;      /* bytes */
} prong_text;

/* The text of a C string, which may not be NULL, without its NUL. Lives as long as the string. */
static inline prong_text prong_string(const char* string) {
  prong_text text = {string, strlen(string)};
  return text;
}

/* What functions and callbacks give back. Everything below 0 is a failure. */
enum {
  PRONG_OK = 0,
  PRONG_END = 0,        /* read(): the client will send no more */
  PRONG_GONE = -1,      /* the client, or whoever waited for this, is not there any more */
  PRONG_TIMEOUT = -2,   /* read(): nothing came in time */
  PRONG_DRAINING = -3,  /* read() with PRONG_OR_DRAIN: nothing has come, and the worker is to end */
  PRONG_INVALID = -4,   /* an argument that cannot be: nothing was done */
  PRONG_TWICE = -5,     /* it has been answered before: nothing was done */
  PRONG_NOT_HERE = -6,  /* not in this `concurrency`, or not in this callback: nothing was done */
  PRONG_NO_MEMORY = -7, /* of memory, of descriptors, of places: nothing was done */
  PRONG_FAILED = -8     /* any other failure: of a function what it says it is; of a callback what fail() has said */
};

/* The pool's `concurrency`; also as bits of prong_module.models. */
typedef enum prong_model { PRONG_EVENT = 1, PRONG_THREAD = 2, PRONG_PROCESS = 4 } prong_model;

/* Of a log line; what the log shows is the configuration's (`log.level`). */
typedef enum prong_level { PRONG_DEBUG = 0, PRONG_INFO = 1, PRONG_WARNING = 2, PRONG_ERROR = 3 } prong_level;

/* Opaque. */
typedef struct prong_worker prong_worker;         /* this process; from start() on until the process ends */
typedef struct prong_exchange prong_exchange;     /* one request that wants an answer */
typedef struct prong_body prong_body;             /* the body of an answer, while it is made */
typedef struct prong_connection prong_connection; /* of a stream module: one client */
typedef struct prong_histogram prong_histogram;

/* What the worker is. The texts live as long as the worker. */
typedef struct prong_worker_info {
  uint32_t size;       /* set by the caller: sizeof(prong_worker_info) */
  uint32_t model;      /* one prong_model */
  uint32_t threads;    /* how many run callbacks at once: 1 but in `thread` */
  uint32_t slot;       /* the worker's number in its pool, from 0; the next worker in this slot has it too */
  uint32_t generation; /* of the configuration, from 1; one more after each reload */
  uint32_t reserved;
  prong_text pool;   /* its name */
  prong_text module; /* the path of this module, absolute */
} prong_worker_info;

/* ---- Options: the table `options` of the pool's configuration ---- */

/* Which member of a prong_option has the value. */
typedef enum prong_option_kind {
  PRONG_BOOLEAN = 1,
  PRONG_INTEGER = 2,
  PRONG_REAL = 3,
  PRONG_TEXT = 4
} prong_option_kind;

/* One value, and where it stands. The texts live until start() returns. */
typedef struct prong_option {
  uint32_t size; /* set by the caller: sizeof(prong_option) */
  uint32_t kind; /* prong_option_kind */
  bool boolean;
  int64_t integer;
  double real; /* of an integer too */
  prong_text text;
  prong_text file; /* the path of the configuration; "--option": it comes from the command line */
  uint32_t line;   /* from 1; of the command line: which option it is */
  uint32_t column; /* from 1 */
} prong_option;

/* ---- Metrics ---- */

/* A number of the module's own. It is one per worker; `prongctl metrics` and Prometheus are told the sum over all
 * workers of the pool: of counters and histograms also over those that have ended, of gauges over those that live.
 *
 * A name has the form [a-zA-Z_][a-zA-Z0-9_]{0,62} and does not begin with "prongd_"; that of a counter should end in
 * "_total", as OpenMetrics wants it, that of a histogram in "_seconds". `labels` has the form of Prometheus without its
 * braces, such as `command="get",code="5"`, or is empty; labels "pool", "le" and "__..." are prongd's. Both labels and
 * help are printable ASCII of at most 160 bytes. A worker has room for 64 metrics, of which 16 may be histograms; the
 * same name with other labels is another one. */
typedef struct prong_metric {
  uint32_t size; /* sizeof(prong_metric) */
  uint32_t reserved;
  prong_text name;
  prong_text labels;
  prong_text help; /* one line for people; may be empty */
} prong_metric;

/* ---- HTTP ---- */

/* Of a request, or of an answer. */
typedef struct prong_header {
  prong_text name;
  prong_text value; /* of a request: without white space around it; of an answer: without control characters */
} prong_header;

/* Who is at the other end. Texts live as long as the request, or the connection. */
typedef struct prong_address {
  uint32_t size;      /* set by the caller: sizeof(prong_address) */
  uint32_t port;      /* 0 of a UNIX socket */
  prong_text address; /* "192.0.2.7", "2001:db8::7"; empty of a UNIX socket */
} prong_address;

/* One request. Lives until request() returns, also if its answer comes later: copy what is needed then. */
typedef struct prong_request {
  uint32_t size;          /* of this struct, as prongd knows it */
  uint32_t version_minor; /* of HTTP/1.x */
  prong_text method;      /* "GET", as it was sent */
  prong_text target;      /* as it was sent: "/a%20b?x=1" */
  prong_text host;        /* of the target, else of the Host header; may be empty */
  prong_text path;        /* decoded: "/a b"; below the pool's path_prefix. An escape that is none stays as it is */
  prong_text raw_path;    /* as it was sent */
  prong_text prefix;      /* what path_prefix took off the path, as it was sent; mostly empty */
  prong_text query;       /* as it was sent, without '?'; see query() */
  size_t header_count;    /* see header_at() */
  uint64_t body_size;     /* bytes of the whole body; 0 if body() said PRONG_BODY_PIECES or _DROP */
  bool has_body;          /* there is one, which may be empty, that can be read by read_body() */
  prong_text body;        /* the whole of it, if it is in memory (the pool's http.body_buffer); else empty */
} prong_request;

/* An answer, or the head of one. prongd adds Date, Server, Content-Length or Transfer-Encoding, and Connection, which
 * are not for the module, and nothing else: no Content-Type unless it is said here. It sends no body to HEAD, nor with
 * 204 and 304. The same name twice is two headers. */
typedef struct prong_response {
  uint32_t size;               /* sizeof(prong_response) */
  uint32_t status;             /* 200 to 599 */
  const prong_header* headers; /* may be NULL when header_count is 0 */
  size_t header_count;
  prong_text body; /* of respond() alone */
  /* NULL: the body is copied. Else it is not, and must live until release(owner) is called, once, also when respond()
   * fails; on any thread of the worker, so it may do nothing but release. Worth it from some 16 KiB on. */
  void (*release)(void* owner);
  void* owner;
} prong_response;

/* What read() of a source says. */
enum {
  PRONG_BODY_MORE = 1, /* something was written, and there is more; with nothing written it is a failure */
  /* Nothing more now: body_resume() will be called. It may be asked before that, and says the same again; after the
   * pool's request_timeout without a body_resume() the connection is cut. In `event` alone. */
  PRONG_BODY_WAIT = 2,
  PRONG_BODY_END = 3, /* that was all */
  /* It cannot go on: the connection is cut, which tells the client that this is not whole. So does a failure: anything
   * else than these, or fail(). */
  PRONG_BODY_CUT = 4
};

/* A body that is made while it is sent: prongd asks for more when little of it waits for the client. In `thread` and
 * `process` it is asked on the application's thread, and may block; what a slow client does not take waits in memory
 * and in a file (http.output_buffer, http.output_spool), and the thread waits when both are full. */
typedef struct prong_source {
  uint32_t size; /* sizeof(prong_source) */
  uint32_t reserved;
  /* Bytes of the whole body: what is written beyond is dropped, and less cuts the connection. -1: not known, then it is
   * sent in chunks. */
  int64_t length;
  void* context; /* may be NULL; for the two below */
  /* Writes with body_write(), best about `room` bytes, and gives one of PRONG_BODY_*. */
  int (*read)(void* context, prong_body* body, size_t room);
  /* Called once in the end, whatever happened, also when respond_stream() fails, within that then. May be NULL. */
  void (*close)(void* context);
} prong_source;

/* What is to be done with the body of a request: see prong_module.body. */
enum {
  PRONG_BODY_KEEP = 0,  /* collected; request() is called when it is whole. The default */
  PRONG_BODY_DROP = 1,  /* nobody wants it */
  PRONG_BODY_PIECES = 2 /* piece() is called for each part, then request() */
};

/* ---- Streams ---- */

/* Flags of read(). */
enum { PRONG_OR_DRAIN = 1 /* come back with PRONG_DRAINING as soon as the worker is to end and nothing has come */ };

/* Bits of watch() and of what it calls back with. */
enum { PRONG_READABLE = 1, PRONG_WRITABLE = 2, PRONG_HANGUP = 4 /* never asked for, always told */ };

/* What prongd does for a module. The same pointer for the whole life of the worker. Functions are appended, never taken
 * out: what this header declares is there, since an older prongd refuses the module. */
typedef struct prong_api {
  uint32_t size; /* of this struct, as prongd knows it */
  uint32_t abi;  /* PRONG_ABI of prongd: that of the module, or newer */

  /* ---- The worker ---- */

  /* Fills `info` as far as its size says. Any thread. */
  void (*worker_info)(prong_worker* worker, prong_worker_info* info);
  /* One line of the worker's log, with the worker's prefix: the text up to its first line end, at most 4096 bytes of
   * it; other control characters are escaped. Any thread; blocks as writing the log does. */
  void (*log)(prong_worker* worker, prong_level level, prong_text text);
  /* Whether lines of that level are written at all. Any thread. */
  bool (*log_enabled)(prong_worker* worker, prong_level level);
  /* The callback that runs on this thread has failed, and why: what it was to answer is answered with 500, even if it
   * has called respond() already, or the stream it was about is cut, and the log tells the first 1000 bytes of `what`
   * and the request, or what else it was. In start(): the worker does not start. What has been deferred stays the
   * module's, to be answered or dropped. The first text of a callback counts. On a thread of the module's own it does
   * nothing. */
  void (*fail)(prong_worker* worker, prong_text what);
  /* Whether the worker has been told to end, or has come to its end: it finishes what it has, and takes nothing new.
   * Any thread. */
  bool (*draining)(prong_worker* worker);
  /* Runs run(context) as a callback of its own, on a thread that runs callbacks: for threads that the module has
   * started itself. Any thread; the order is kept, and the next one runs when the one before has returned. `context`
   * stays the module's and may be NULL. What has not run when the worker ends is dropped, and nobody is told.
   * PRONG_INVALID: `run` is NULL; PRONG_GONE: stop() has begun, or the worker has ended; PRONG_NO_MEMORY.
   *
   *   static void small_is_there(void* context) {    // on the worker's thread
   *     struct job* job = context;
   *     prong->respond(job->exchange, &job->response);
   *     free(job);
   *   }
   *   ... on a thread of the module's own, with an exchange that was deferred:
   *   if (prong->post(worker, small_is_there, job) != PRONG_OK) free(job); */
  int (*post)(prong_worker* worker, void (*run)(void* context), void* context);

  /* ---- Options: in start() alone, on its thread; elsewhere there are none ---- */

  /* The value of that name, "greeting", "limits.max", "peers[0]", "backends[1].host". False: there is none, and `value`
   * is as it was. It counts as known from then on: what stands in `options` and nobody has asked for when start()
   * returns (values, empty lists, empty tables) keeps the worker from starting.
   *
   *   prong_option option = {.size = sizeof option};
   *   if (api->option(worker, prong_string("port"), &option)) {
   *     if (option.kind == PRONG_INTEGER && option.integer > 0 && option.integer < 65536)
   *       port = (int)option.integer;
   *     else
   *       api->refuse_option(worker, prong_string("port"), prong_string("has to be a port"));
   *   } */
  bool (*option)(prong_worker* worker, prong_text name, prong_option* value);
  /* How many entries a list has; -1: there is no list of that name. They are "peers[0]", "peers[1]", and each has to be
   * asked for.
   *
   *   int64_t count = api->option_count(worker, prong_string("peers"));
   *   for (int64_t i = 0; i < count; ++i) {
   *     snprintf(name, sizeof name, "peers[%d]", (int)i);
   *     if (api->option(worker, prong_string(name), &option) && option.kind == PRONG_TEXT) add_peer(option.text);
   *   } */
  int64_t (*option_count)(prong_worker* worker, prong_text name);
  /* "30s", "250ms", "1h30m", "0": as durations are written in the configuration. False: it is none, or its nanoseconds
   * are more than 63 bits hold; the number is as it was. Any thread, at any time. */
  bool (*parse_duration)(prong_text text, uint64_t* nanoseconds);
  /* "64KiB", "10MB", "512B": the same for sizes, in bytes. A bare number is none, but "0". Any thread, at any time. */
  bool (*parse_size)(prong_text text, uint64_t* bytes);
  /* That value cannot be used, and why: the worker does not start, and the operator is told file, line and column.
   * `why` goes on behind `the option "NAME" `: "has to be a port". May be called for several, all of which are told. */
  void (*refuse_option)(prong_worker* worker, prong_text name, prong_text why);

  /* ---- Metrics: registered at any time, best in start(); added to at any time, by any thread ---- */

  /* The value, to be changed by atomic additions (__atomic_fetch_add); the same pointer for the same name and labels,
   * in whatever order, until the process ends. NULL: it cannot be (a name that is none, or that is taken, too many);
   * the log says why. Any thread. It takes a lock, so keep the pointer.
   *
   *   prong_metric metric = {.size = sizeof metric, .name = prong_string("shop_hits_total"),
   *                          .labels = prong_string("page=\"home\""), .help = prong_string("pages asked for")};
   *   hits = api->counter(worker, &metric);
   *   ...
   *   if (hits != NULL) __atomic_fetch_add(hits, 1, __ATOMIC_RELAXED); */
  uint64_t* (*counter)(prong_worker* worker, const prong_metric* metric);
  /* The same of a number that goes up and down, from 0 on. */
  int64_t* (*gauge)(prong_worker* worker, const prong_metric* metric);
  /* The same of durations, for observe(). */
  prong_histogram* (*histogram)(prong_worker* worker, const prong_metric* metric);
  /* Any thread, until the process ends. `histogram` may be NULL: nothing happens. */
  void (*observe)(prong_histogram* histogram, uint64_t nanoseconds);

  /* ---- Timers and descriptors ---- */

  /* Calls fire(context) after so many nanoseconds, 0: at once, but not from within this; and then, if every_ns is not
   * 0, again and again at that distance; what was missed is not made up for. More than ten years are ten. In `thread`
   * and `process` it is called on an application thread as soon as one is between two requests. `context` stays the
   * module's, may be NULL, and has to live until the timer is over: has fired for the last time, or was stopped. Gives
   * the timer's number, which is never used again; 0: `fire` is NULL, or there is no memory. */
  uint64_t (*start_timer)(prong_worker* worker, uint64_t after_ns, uint64_t every_ns, void (*fire)(void* context),
                          void* context);
  /* It fires no more. A number that is over, or 0, does nothing. In `thread` a call that has begun on another thread
   * may still run when this returns. */
  void (*stop_timer)(prong_worker* worker, uint64_t timer);
  /* Calls ready(context, what happened) whenever the descriptor is so; level-triggered. `event` alone. The descriptor
   * stays the module's, which takes it out before closing it; each can be watched once at a time. `context` has to live
   * until stop_watch(), and may be NULL. Gives the watch's number; 0: it cannot be watched (a file on disk, one that is
   * watched already, another `concurrency`). */
  uint64_t (*watch)(prong_worker* worker, int descriptor, uint32_t events,
                    void (*ready)(void* context, uint32_t events), void* context);
  /* Other events of a descriptor that is watched. PRONG_INVALID: there is no watch of that number. */
  int (*change_watch)(prong_worker* worker, uint64_t watch, uint32_t events);
  /* It is called no more. A number that is over, or 0, does nothing. */
  void (*stop_watch)(prong_worker* worker, uint64_t watch);

  /* ---- HTTP ---- */

  /* What these give lives as long as the request. False: there is none, and what was to be filled is as it was. */

  /* The value of the first header of that name, in whatever case. */
  bool (*header)(const prong_request* request, prong_text name, prong_text* value);
  /* The index-th header, in the order of the request. */
  bool (*header_at)(const prong_request* request, size_t index, prong_header* header);
  /* The first value of that name in the query, decoded ('+' is a space); empty for "?name". */
  bool (*query)(const prong_request* request, prong_text name, prong_text* value);
  /* The index-th pair of the query, decoded. */
  bool (*query_at)(const prong_request* request, size_t index, prong_text* name, prong_text* value);
  /* The other end of the connection, which may be a proxy. Fills `address` as far as its size says. */
  void (*peer)(const prong_request* request, prong_address* address);
  /* The client, as far as a trusted proxy tells of it (the pool's trusted_proxies); else the peer. */
  void (*client)(const prong_request* request, prong_address* address);
  /* "http", or what a trusted proxy says: "https". Lives as long as the process. */
  prong_text (*scheme)(const prong_request* request);
  /* Bytes of the body from `offset` on: how many, at most `size`, 0 at its end or without a body. Wherever it is kept;
   * from a file it blocks as the disk does. PRONG_FAILED: it cannot be read from there; the callback has not failed by
   * that.
   *
   *   for (uint64_t at = 0; (got = prong->read_body(request, at, buffer, sizeof buffer)) > 0; at += (uint64_t)got)
   *     store(buffer, (size_t)got);
   *   if (got < 0) prong->fail(worker, prong_string("the body cannot be read")); */
  ptrdiff_t (*read_body)(const prong_request* request, uint64_t offset, char* buffer, size_t size);

  /* Answers: one of them for each exchange; none waits for the client. PRONG_INVALID: a status or a header that cannot
   * be, which the log names; another answer may be given then. PRONG_TWICE: it has been answered, or deferred.
   * PRONG_GONE: of a deferred exchange, whose client has gone; it is over. PRONG_NO_MEMORY. */
  int (*respond)(prong_exchange* exchange, const prong_response* response);
  /* With `length` bytes of a regular file from `offset` on, by sendfile(2). The descriptor is taken over, whatever this
   * gives back. PRONG_INVALID too, and a line in the log, when it is no regular file, or has no such part. A file that
   * gets shorter meanwhile cuts the connection, and the log says so. */
  int (*respond_file)(prong_exchange* exchange, const prong_response* head, int descriptor, uint64_t offset,
                      uint64_t length);
  /* With a body that is made while it is sent. The source is copied, its context stays the module's until close(). */
  int (*respond_stream)(prong_exchange* exchange, const prong_response* head, const prong_source* source);
  /* In read() of a source: adds a copy of the bytes to the body. Elsewhere it does nothing. */
  void (*body_write)(prong_body* body, prong_text bytes);
  /* A source that said PRONG_BODY_WAIT has more: it is asked again soon. From any callback, from its first read() until
   * its close(). */
  void (*body_resume)(prong_body* body);
  /* The answer will come later, from another callback: gives the exchange under which it is then answered, and which is
   * over with one of respond(), respond_file(), respond_stream() or drop(). NULL: not in `event`, or it has been
   * answered or deferred. After the pool's request_timeout the client gets 504, and has gone.
   *
   *   static void late(void* context) {
   *     prong_exchange* exchange = context;
   *     prong_response response = {.size = sizeof response, .status = 200, .body = prong_string("good morning\n")};
   *     if (prong->respond(exchange, &response) == PRONG_INVALID) prong->drop(exchange);
   *   }
   *   ... in request():
   *   prong->start_timer(worker, 1000000000, 0, late, prong->defer(exchange)); */
  prong_exchange* (*defer)(prong_exchange* exchange);
  /* Of a deferred exchange: gone(context) is called, once, when its client has gone or got its 504. It is still to be
   * ended by drop(), or by an answer, which goes to nobody. To be set in the callback that defers: who has gone before
   * is not told of. The last one that was set counts; NULL: none. A client that has only said that it will send no more
   * has not gone: it may wait for the answer. */
  void (*on_gone)(prong_exchange* exchange, void (*gone)(void* context), void* context);
  /* A deferred exchange will not be answered, and is over: its client, if it is there, gets 500, and the log tells. */
  void (*drop)(prong_exchange* exchange);

  /* ---- Streams ---- */

  /* A place for a pointer of the module's own; NULL at first. Lives as long as the connection. */
  void** (*context)(prong_connection* connection);
  /* Fills `address` as far as its size says; its text lives as long as the connection. */
  void (*connection_peer)(prong_connection* connection, prong_address* address);

  /* The next four in `event`: of any connection that closed() has not been called for, from any callback. */

  /* Sends a copy of the bytes behind those that were sent before. Gives how many more are wise to send now; 0: wait for
   * writable(). More is taken all the same, and waits in memory, up to the pool's stream.max_output, beyond which the
   * connection is cut. After close() and cut() it does nothing and gives 0; in serve() as well. */
  size_t (*send)(prong_connection* connection, prong_text bytes);
  /* Ends the connection when everything has been sent; nothing is read any more, and data() and end() come no more.
   * closed() is called then, but never from within this function, send() or cut(). In serve() it does nothing: that
   * ends the connection by returning. */
  void (*close)(prong_connection* connection);
  /* Ends it now, with a reset; what waits to be sent is lost. In serve(): when that returns. */
  void (*cut)(prong_connection* connection);
  /* False: no data(), and no end(), until it is called with true again, so that the client has to wait. In serve() it
   * does nothing. */
  void (*want_data)(prong_connection* connection, bool wanted);

  /* In serve() of that connection, on its thread; elsewhere PRONG_NOT_HERE. They block. */

  /* Waits for bytes of the client, and gives how many have come, at most `size`; PRONG_END; or below 0 PRONG_TIMEOUT,
   * PRONG_DRAINING, PRONG_GONE; PRONG_INVALID: `size` is 0. `timeout_ns` is the longest that it waits, 0: as long as
   * the pool's stream.idle_timeout allows, after which the client is gone; a longer one does not prolong that. `flags`:
   * 0 or PRONG_OR_DRAIN.
   *
   *   while ((got = prong->read(connection, buffer, sizeof buffer, 0, PRONG_OR_DRAIN)) > 0) {
   *     prong_text bytes = {buffer, (size_t)got};
   *     if (prong->write(connection, bytes) != PRONG_OK) return;
   *   } */
  ptrdiff_t (*read)(prong_connection* connection, char* buffer, size_t size, uint64_t timeout_ns, uint32_t flags);
  /* Sends a copy of all the bytes, and waits while more than stream.buffer waits for the client. PRONG_OK; PRONG_GONE,
   * as a client is too that takes less than the pool's stream.min_send_rate in a stream.send_timeout. */
  int (*write)(prong_connection* connection, prong_text bytes);
} prong_api;

/* What a module is. All callbacks may be NULL but request() of an HTTP module, and data() or serve() of a stream module
 * (`protocol` in the configuration). A module may have both data() and serve(): the one for `event`, the other for
 * `process` and `thread`. */
typedef struct prong_module {
  uint32_t size;    /* sizeof(prong_module) */
  uint32_t abi;     /* PRONG_ABI */
  const char* name; /* one word, for people */
  /* prong_model bits that it can run in; 0: all that its callbacks allow. prongd refuses to run it in another one. */
  uint32_t models;
  uint32_t reserved;

  /* Once in each worker, before it serves: opens what the module needs, looks at its options. *state is what every
   * callback gets. Everything but PRONG_OK: the worker does not start, and at a reload the old generation goes on; say
   * why with fail(). May block, as long as the pool's start_timeout. */
  int (*start)(const prong_api* api, prong_worker* worker, void** state);
  /* The worker is to end. What is under way goes on; nothing new comes, but requests of connections that are open.
   * Once, on a thread that runs callbacks: in `thread` and `process` when one is free, so that a serve() that talks
   * holds it up, and learns of the end by PRONG_OR_DRAIN. */
  void (*drain)(void* state);
  /* At a worker's good end, on its main thread, when nothing else will be called any more: ends and joins threads of
   * the module's own, writes what has to be kept. Not after a crash, nor when a thread is stuck. The process ends right
   * behind it, without the destructors of static objects. */
  void (*stop)(void* state);

  /* HTTP. */

  /* When the head of a request with a body is there: what is to be done with the body, PRONG_BODY_*. For
   * PRONG_BODY_PIECES *upload is what piece(), request() and end_upload() get. In `event` it is asked while the body is
   * still on its way, and pieces come as they arrive; in `thread` and `process` when it has come. *upload is NULL when
   * it is called. NULL: all bodies are kept. */
  int (*body)(void* state, const prong_request* request, void** upload);
  /* At least one byte, cut anywhere. PRONG_OK: go on. Anything above 0: enough, request() is called at once, and the
   * rest of the body is not wanted. Below 0: a failure, 500. NULL: nobody looks at the pieces. */
  int (*piece)(void* state, void* upload, prong_text bytes);
  /* Called once for each upload in the end, whatever happened, also when the client has vanished in the middle. */
  void (*end_upload)(void* state, void* upload);
  /* Answers with one respond function, or defers. To return without either is a failure: 500. `upload` is NULL without
   * PRONG_BODY_PIECES. */
  void (*request)(void* state, const prong_request* request, prong_exchange* exchange, void* upload);

  /* Streams, in `event`. Those of one connection come in this order, and never two at once. */

  /* A client has come; what is sent now comes before it has said anything. */
  void (*open)(void* state, prong_connection* connection);
  /* At least one byte, cut anywhere. */
  void (*data)(void* state, prong_connection* connection, prong_text bytes);
  /* The client will send no more, but may still read. NULL: the connection is closed. */
  void (*end)(void* state, prong_connection* connection);
  /* There is room again, after send() gave 0. */
  void (*writable)(void* state, prong_connection* connection);
  /* It is gone, whoever ended it; `connection` ends with this call. Once for each, and never in the middle of another
   * callback of the same connection. */
  void (*closed)(void* state, prong_connection* connection);

  /* Streams, in `process` and `thread`: talks with one client with read() and write(), which block, and returns when it
   * is done; then everything is sent and the connection is closed. A failure cuts it. */
  void (*serve)(void* state, prong_connection* connection);
} prong_module;

/* The one symbol of a module, which defines it. */
PRONG_EXPORT extern const prong_module prong_module_entry;

/* NOLINTEND */
#ifdef __cplusplus
}
#endif
#endif
