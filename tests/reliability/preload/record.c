/* Records the changes of the files in one folder, for `LD_PRELOAD` on Linux.
 *
 * With POWER_CUTS_FOLDER and POWER_CUTS_LOG set, every call of this process that changes a file in
 * the folder, or waits until changes are on the disk, is appended to the log, in the order of its
 * effect and with the written bytes. Otherwise nothing is recorded.
 *
 * Changes are made and recorded under one lock. A sync is recorded at its begin and at its end,
 * since only what was written before its begin is on the disk at its end. A call that would change
 * a file in a way that cannot be recorded ends the process.
 *
 * The log consists of records in the byte order of the machine: the header below, then the bytes.
 * Hooks allocate nothing, and leave `errno` as the call has set it. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#if __SIZEOF_POINTER__ != 8
#error "the system calls of 64-bit machines are used"
#endif

enum kind { CREATE = 1, WRITE, RESIZE, SYNC_BEGIN, SYNC_END, LINK, UNLINK, RENAME };

struct header {
    uint64_t kind;
    uint64_t file;  /* its inode, or DIRECTORY */
    uint64_t place; /* the offset of a write, the new size, or the number of a sync */
    uint64_t bytes; /* the number of bytes that follow */
};

#define DIRECTORY UINT64_MAX
#define MAX_FILES 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char folder[PATH_MAX];
static size_t folder_bytes;
static int log_file = -1;
static uint64_t syncs;
static uint64_t watched[MAX_FILES]; /* by descriptor: the file in the folder, or 0 */

static void fail(const char *reason) {
    dprintf(2, "the changes of files cannot be recorded: %s\n", reason);
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *log = getenv("POWER_CUTS_LOG"), *path = getenv("POWER_CUTS_FOLDER");
    if (!log || !path) return;
    folder_bytes = strlen(path);
    if (folder_bytes >= sizeof folder) fail("the name of the folder is too long");
    memcpy(folder, path, folder_bytes + 1);
    log_file = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log_file < 0) fail("the log cannot be opened");
}

/* Lets no thread change a file without its record when the process ends. */
__attribute__((destructor)) static void end(void) { pthread_mutex_lock(&lock); }

/* Returns the name of a file in the folder, "" for the folder, and NULL for others. */
static const char *name_of(int directory, const char *path) {
    if (log_file < 0 || !path) return NULL;
    if (directory != AT_FDCWD && path[0] != '/') return NULL;
    if (strncmp(path, folder, folder_bytes) != 0) return NULL;
    path += folder_bytes;
    if (!*path) return path;
    return *path == '/' ? path + 1 : NULL;
}

static uint64_t file_of(int file) {
    if (log_file < 0 || file < 0 || file >= MAX_FILES) return 0;
    return __atomic_load_n(&watched[file], __ATOMIC_ACQUIRE);
}

/* Appends a record; the lock is held. */
static void append(enum kind kind, uint64_t file, uint64_t place, const void *data, size_t bytes) {
    struct header header = {kind, file, place, bytes};
    struct iovec parts[] = {{&header, sizeof header}, {(void *)data, bytes}};
    ssize_t written = syscall(SYS_writev, log_file, parts, 2);
    if (written != (ssize_t)(sizeof header + bytes)) fail("the log cannot be written");
}

/* Runs a call under the lock, and if it succeeds, records it, with `errno` unchanged. */
#define RECORDED(call, record)                \
    ({                                        \
        pthread_mutex_lock(&lock);            \
        long result_ = (call);                \
        int errno_ = errno;                   \
        if (result_ >= 0) { record; }         \
        pthread_mutex_unlock(&lock);          \
        errno = errno_;                       \
        result_;                              \
    })

static void opened(int file, const char *name, int is_new, int flags) {
    struct stat stat;
    if (fstat(file, &stat) != 0) fail("an open file has no inode");
    if (file >= MAX_FILES) fail("too many files are open");
    if (S_ISDIR(stat.st_mode)) {
        if (*name) fail("a folder within the folder");
        stat.st_ino = DIRECTORY;
    } else if (flags & (O_SYNC | O_DSYNC)) {
        fail("a file is opened for writes that are on the disk at once");
    }
    if (is_new) append(CREATE, stat.st_ino, 0, name, strlen(name));
    if (!is_new && flags & O_TRUNC) append(RESIZE, stat.st_ino, 0, NULL, 0);
    __atomic_store_n(&watched[file], stat.st_ino, __ATOMIC_RELEASE);
}

static int open_file(int directory, const char *path, int flags, mode_t mode) {
    const char *name = name_of(directory, path);
    if (!name) return syscall(SYS_openat, directory, path, flags, mode);
    int is_new = 0;
    return RECORDED(
        (is_new = flags & O_CREAT && faccessat(AT_FDCWD, path, F_OK, 0) != 0,
         syscall(SYS_openat, directory, path, flags, mode)),
        opened(result_, name, is_new, flags));
}

#define OPEN(name, directory, ...)                                   \
    int name(__VA_ARGS__ const char *path, int flags, ...) {         \
        mode_t mode = 0;                                             \
        if (flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE) {   \
            va_list rest;                                            \
            va_start(rest, flags);                                   \
            mode = va_arg(rest, mode_t);                             \
            va_end(rest);                                            \
        }                                                            \
        return open_file(directory, path, flags, mode);              \
    }
#define NOTHING
OPEN(open, AT_FDCWD, NOTHING)
OPEN(open64, AT_FDCWD, NOTHING)
#define IN_DIRECTORY int directory,
OPEN(openat, directory, IN_DIRECTORY)
OPEN(openat64, directory, IN_DIRECTORY)

int close(int file) {
    if (!file_of(file)) return syscall(SYS_close, file);
    /* Before the call, after which another thread may be given the descriptor. */
    __atomic_store_n(&watched[file], 0, __ATOMIC_RELEASE);
    return syscall(SYS_close, file);
}

/* Records the first `bytes` of these parts. */
static void record_parts(uint64_t id, off_t at, const struct iovec *parts, size_t bytes) {
    for (; bytes > 0; parts++) {
        size_t part = parts->iov_len < bytes ? parts->iov_len : bytes;
        append(WRITE, id, at, parts->iov_base, part);
        at += part;
        bytes -= part;
    }
}

/* Returns where `write` writes. */
static off_t position(int file) {
    int flags = fcntl(file, F_GETFL);
    struct stat stat;
    if (flags < 0 || !(flags & O_APPEND)) return lseek(file, 0, SEEK_CUR);
    return fstat(file, &stat) == 0 ? stat.st_size : -1;
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    uint64_t id = file_of(file);
    if (!id) return syscall(SYS_writev, file, parts, count);
    off_t at;
    return RECORDED((at = position(file), syscall(SYS_writev, file, parts, count)),
                    record_parts(id, at, parts, result_));
}

ssize_t write(int file, const void *data, size_t bytes) {
    if (!file_of(file)) return syscall(SYS_write, file, data, bytes);
    struct iovec part = {(void *)data, bytes};
    return writev(file, &part, 1);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
    uint64_t id = file_of(file);
    if (!id) return syscall(SYS_pwritev, file, parts, count, at, 0);
    return RECORDED(syscall(SYS_pwritev, file, parts, count, at, 0),
                    record_parts(id, at, parts, result_));
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
    return pwritev(file, parts, count, at);
}

ssize_t pwrite(int file, const void *data, size_t bytes, off_t at) {
    if (!file_of(file)) return syscall(SYS_pwrite64, file, data, bytes, at);
    struct iovec part = {(void *)data, bytes};
    return pwritev(file, &part, 1, at);
}

ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t at) {
    return pwrite(file, data, bytes, at);
}

int ftruncate(int file, off_t size) {
    uint64_t id = file_of(file);
    if (!id) return syscall(SYS_ftruncate, file, size);
    return RECORDED(syscall(SYS_ftruncate, file, size), append(RESIZE, id, size, NULL, 0));
}

int ftruncate64(int file, off64_t size) { return ftruncate(file, size); }

int fallocate(int file, int mode, off_t at, off_t bytes) {
    uint64_t id = file_of(file);
    if (!id) return syscall(SYS_fallocate, file, mode, at, bytes);
    if (mode) fail("a file is given room in an unknown mode");
    struct stat stat;
    return RECORDED((fstat(file, &stat), syscall(SYS_fallocate, file, mode, at, bytes)),
                    if (at + bytes > stat.st_size) append(RESIZE, id, at + bytes, NULL, 0));
}

int fallocate64(int file, int mode, off64_t at, off64_t bytes) {
    return fallocate(file, mode, at, bytes);
}

int posix_fallocate(int file, off_t at, off_t bytes) {
    int before = errno;
    int failed = fallocate(file, 0, at, bytes) == 0 ? 0 : errno;
    errno = before;
    return failed;
}

int posix_fallocate64(int file, off64_t at, off64_t bytes) {
    return posix_fallocate(file, at, bytes);
}

static int sync_by(long call, int file) {
    uint64_t id = file_of(file), number;
    if (!id) return syscall(call, file);
    RECORDED(0, append(SYNC_BEGIN, id, number = ++syncs, NULL, 0));
    /* Not under the lock, so that other threads write meanwhile. */
    int result = syscall(call, file), error = errno;
    if (result == 0) RECORDED(0, append(SYNC_END, id, number, NULL, 0));
    errno = error;
    return result;
}

int fsync(int file) { return sync_by(SYS_fsync, file); }

int fdatasync(int file) { return sync_by(SYS_fdatasync, file); }

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    const char *name = name_of(to_directory, to);
    struct stat stat;
    if (!name) return syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
    return RECORDED(syscall(SYS_linkat, from_directory, from, to_directory, to, flags),
                    if (fstatat(AT_FDCWD, to, &stat, 0) != 0) fail("a link has no inode");
                    append(LINK, stat.st_ino, 0, name, strlen(name)));
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int directory, const char *path, int flags) {
    const char *name = name_of(directory, path);
    if (!name) return syscall(SYS_unlinkat, directory, path, flags);
    return RECORDED(syscall(SYS_unlinkat, directory, path, flags),
                    append(UNLINK, 0, 0, name, strlen(name)));
}

int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

/* Both names, with a zero between them. */
static void record_rename(const char *from, const char *to) {
    char names[2 * NAME_MAX + 2];
    int bytes = snprintf(names, sizeof names, "%s%c%s", from, 0, to);
    if (bytes < 0 || bytes >= (int)sizeof names) fail("a name is too long");
    append(RENAME, 0, 0, names, bytes);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    const char *old_name = name_of(from_directory, from), *name = name_of(to_directory, to);
    if (!old_name != !name) fail("a file is moved into or out of the folder");
    if (!name) return syscall(SYS_renameat2, from_directory, from, to_directory, to, 0);
    return RECORDED(syscall(SYS_renameat2, from_directory, from, to_directory, to, 0),
                    record_rename(old_name, name));
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

/* Files may be mapped to read them. The shared memory of SQLite is written, but does not outlive
 * the process: SQLite builds it again. */
void *mmap64(void *wanted, size_t bytes, int protection, int flags, int file, off64_t at) {
    if (file_of(file) && flags & MAP_SHARED && protection & PROT_WRITE) {
        char link[32], path[PATH_MAX];
        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        ssize_t length = readlink(link, path, sizeof path);
        if (length < 4 || memcmp(path + length - 4, "-shm", 4) != 0)
            fail("a file is mapped for writes");
    }
    return (void *)syscall(SYS_mmap, wanted, bytes, protection, flags, file, at);
}

void *mmap(void *wanted, size_t bytes, int protection, int flags, int file, off_t at) {
    return mmap64(wanted, bytes, protection, flags, file, at);
}
