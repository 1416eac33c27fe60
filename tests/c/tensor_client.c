/* A client of edged's tensor socket in plain C; docs/tensor-socket.md specifies what it speaks.
 *
 *   tensor_client [--truncate] SOCKET MODEL AXIS[xAXIS...] [VALUE...]
 *       Send one FP32 tensor (the values, repeated until the shape is full; 0 without any) as input 0 and print every output.
 *       --truncate: try to take the memory away while the model runs, and say what came of it.
 *   tensor_client --dump    Print the golden messages "open-scales" and "infer" in hexadecimal.
 *   tensor_client --read    Read a message for an app in hexadecimal from standard input, and print what it says.
 *
 * Exit codes: 0 answered, 1 refused, 2 usage or system. Numbers are copied as they are: this is for little-endian machines. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { OPEN = 1, OPENED, INFER, RESULT, ERROR, NOTICE };
enum { WANTS_SCALES = 2, KIND_OUTPUT = 3, FP32 = 11, MAX_MESSAGE = 65536, MAX_RANK = 8, MAX_TENSORS = 64, ROOM = 65536 };

/* A message being written or read. Once too much was asked of it, it is broken: nothing more is copied, and numbers are 0. */
struct message {
    unsigned char data[MAX_MESSAGE];
    size_t at, size;
    bool broken;
};

/* The memory shared with edged, and what is known of the model: its outputs' number, and their datatypes by index. */
struct session {
    unsigned char *memory;
    uint64_t memory_size;
    uint32_t outputs;
    int datatypes[MAX_TENSORS];
};

static void put(struct message *m, const void *from, size_t size)
{
    m->broken |= size > MAX_MESSAGE - m->at;
    if (m->broken)
        return;
    memcpy(m->data + m->at, from, size);
    m->at += size;
}

static void put_u32(struct message *m, uint32_t value) { put(m, &value, sizeof value); }
static void put_u64(struct message *m, uint64_t value) { put(m, &value, sizeof value); }

static const unsigned char *take(struct message *m, size_t size)
{
    m->broken |= size > m->size - m->at;
    if (m->broken)
        return NULL;
    m->at += size;
    return m->data + m->at - size;
}

static uint64_t number(struct message *m, size_t size)
{
    uint64_t value = 0;
    const unsigned char *from = take(m, size);
    if (from)
        memcpy(&value, from, size);
    return value;
}

static void print_text(struct message *m, const char *before, size_t size)
{
    const unsigned char *text = take(m, size);
    printf("%s%.*s", before, text ? (int)size : 0, text ? (const char *)text : "");
}

static void print_axes(struct message *m, uint64_t rank)
{
    for (uint64_t i = 0; i < rank && !m->broken; i++)
        printf("%s%" PRId64, i ? "x" : "", (int64_t)number(m, 8));
}

static void begin(struct message *m, uint32_t type_and_flags, uint64_t request)
{
    m->at = 0;
    m->broken = false;
    put_u32(m, 0); /* the size, which end() knows */
    put_u32(m, type_and_flags);
    put_u64(m, request);
}

static void end(struct message *m)
{
    m->size = m->at;
    memcpy(m->data, &(uint32_t){(uint32_t)m->size}, sizeof(uint32_t));
}

static void write_open(struct message *m, const char *model)
{
    begin(m, OPEN | WANTS_SCALES << 16, 0);
    put_u32(m, 1 | (uint32_t)strlen(model) << 16); /* the protocol's version, and the name's size */
    put_u32(m, 0); /* whichever version of the model is active */
    put(m, model, strlen(model));
    end(m);
}

/* One input at the memory's beginning; rooms of one size for all outputs, one after the other. */
static void write_infer(struct message *m, uint32_t rank, const int64_t *axes, uint64_t size, uint32_t outputs, uint64_t room_at,
                        uint64_t room)
{
    begin(m, INFER, 1);
    put_u64(m, 0); /* no sequence */
    put_u32(m, 0); /* the longest deadline */
    put_u32(m, 1u << 16 | outputs << 24); /* no priority, one input */
    put_u32(m, 0);
    put_u32(m, rank);
    put_u64(m, 0);
    put_u64(m, size);
    put(m, axes, rank * sizeof *axes);
    for (uint32_t i = 0; i < outputs; i++, room_at += room) {
        put_u64(m, i);
        put_u64(m, room_at);
        put_u64(m, room);
    }
    end(m);
}

static void print_opened(struct message *m, struct session *s)
{
    uint64_t memory = number(m, 8), rate = number(m, 4), burst = number(m, 4), deadline = number(m, 4);
    uint64_t tensors = number(m, 4), version = number(m, 2), variant = number(m, 2), wanted = number(m, 4);
    print_text(m, "opened ", version);
    print_text(m, " ", variant);
    printf(" memory %" PRIu64 " rate %" PRIu64 " burst %" PRIu64 " deadline %" PRIu64, memory, rate, burst, deadline);
    printf(" wanted %" PRIu64 "\n", wanted);
    for (uint64_t i = 0; i < tensors && !m->broken; i++) {
        int kind = (int)number(m, 1), datatype = (int)number(m, 1);
        uint64_t rank = number(m, 1), flags = number(m, 1), index = number(m, 2), name = number(m, 2);
        printf("kind %d index %" PRIu64 " datatype %d flags %" PRIu64 " shape ", kind, index, datatype, flags);
        print_axes(m, rank);
        print_text(m, " ", name);
        printf("\n");
        if (kind == KIND_OUTPUT && index == s->outputs && index < MAX_TENSORS)
            s->datatypes[s->outputs++] = datatype;
    }
}

static void print_result(struct message *m, const struct session *s)
{
    number(m, 8); /* how long it took */
    uint64_t outputs = number(m, 4);
    printf("scale %" PRIu64 "\n", number(m, 4));
    for (uint64_t i = 0; i < outputs && !m->broken; i++) {
        uint64_t index = number(m, 4), rank = number(m, 4), offset = number(m, 8), size = number(m, 8);
        printf("output %" PRIu64 " shape ", index);
        print_axes(m, rank);
        bool is_there = offset <= s->memory_size && size <= s->memory_size - offset && index < s->outputs;
        bool is_float = is_there && s->datatypes[index] == FP32;
        for (uint64_t at = 0; is_there && at < size; at += is_float ? sizeof(float) : 1) {
            float value;
            if (is_float)
                printf(" %.9g", (double)*(float *)memcpy(&value, s->memory + offset + at, sizeof value));
            else
                printf(" %02x", s->memory[offset + at]);
        }
        printf("\n");
    }
}

static void print_error(struct message *m, uint64_t flags)
{
    uint64_t status = number(m, 2), code = number(m, 2), text = number(m, 2), hint = number(m, 2);
    uint64_t retry = number(m, 4), output = number(m, 4), needed = number(m, 8);
    printf("error %" PRIu64, status);
    print_text(m, " ", code);
    print_text(m, ": ", text);
    print_text(m, " ", hint);
    printf(" (retry %" PRIu64 " output %" PRIx64 " needed %" PRIu64 " flags %" PRIu64 ")\n", retry, output, needed, flags);
}

/* Prints a message and keeps what later ones need; returns its type, 0 for damage. */
static int print_message(struct message *m, struct session *s)
{
    m->at = 0;
    m->broken = false;
    uint64_t size = number(m, 4), type = number(m, 2), flags = number(m, 2);
    number(m, 8); /* the request: there is only one */
    if (type == OPENED)
        print_opened(m, s);
    else if (type == RESULT)
        print_result(m, s);
    else if (type == ERROR)
        print_error(m, flags);
    else if (type == NOTICE) {
        uint64_t version = number(m, 2), variant = number(m, 2), wanted = number(m, 4);
        print_text(m, "notice ", version);
        print_text(m, " ", variant);
        printf(" wanted %" PRIu64 "\n", wanted);
    }
    if (!m->broken && size == m->size && m->at == m->size)
        return (int)type;
    fprintf(stderr, "not a message for an app\n");
    return 0;
}

static void must(bool is_good, const char *what)
{
    if (!is_good)
        exit((perror(what), 2));
}

static void send_message(int connection, struct message *m, int descriptor)
{
    char control[CMSG_SPACE(sizeof descriptor)] = {0};
    struct iovec part = {m->data, m->size};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        *rights = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof descriptor), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(rights), &descriptor, sizeof descriptor);
    }
    must(sendmsg(connection, &header, MSG_NOSIGNAL) == (ssize_t)m->size, "sendmsg");
}

static int receive(int connection, struct message *m, struct session *s)
{
    ssize_t size = recv(connection, m->data, sizeof m->data, 0);
    errno = size ? errno : ECONNRESET;
    must(size > 0, "recv");
    m->size = (size_t)size;
    return print_message(m, s);
}

static int talk(const char *path, const char *model, uint32_t rank, const int64_t *axes, char **values, int count, bool truncate)
{
    static struct message m;
    struct session s = {0};
    uint64_t size = sizeof(float);
    for (uint32_t i = 0; i < rank; i++)
        size *= (uint64_t)axes[i];
    uint64_t rooms_at = (size + 63) / 64 * 64;
    s.memory_size = rooms_at + (uint64_t)MAX_TENSORS * ROOM;

    int fd = memfd_create("tensors", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    must(fd >= 0 && !ftruncate(fd, (off_t)s.memory_size) && !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), "memfd");
    s.memory = mmap(NULL, s.memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    must(s.memory != MAP_FAILED, "mmap");
    for (uint64_t i = 0; count && i < size / sizeof(float); i++)
        ((float *)(void *)s.memory)[i] = strtof(values[i % (uint64_t)count], NULL);

    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), type;
    must(!connect(connection, (struct sockaddr *)&address, sizeof address), path);
    write_open(&m, model);
    send_message(connection, &m, fd);
    if (receive(connection, &m, &s) != OPENED)
        return 1;
    write_infer(&m, rank, axes, size, s.outputs, rooms_at, ROOM);
    send_message(connection, &m, -1);
    if (truncate)
        printf("truncate: %s\n", ftruncate(fd, 0) ? strerror(errno) : "the memory is gone");
    while ((type = receive(connection, &m, &s)) == NOTICE)
        continue;
    return type != RESULT;
}

int main(int argc, char **argv)
{
    static struct message m;
    int64_t axes[MAX_RANK] = {1, 4};
    bool truncate = argc > 1 && !strcmp(argv[1], "--truncate");
    if (argc == 2 && !strcmp(argv[1], "--dump")) {
        write_open(&m, "magika");
        for (size_t at = 0; at < m.size; at++)
            printf("%02x", m.data[at]);
        write_infer(&m, 2, axes, 16, 1, 4096, 4096);
        for (size_t at = 0; at < m.size; at++)
            printf("%s%02x", at ? "" : "\n", m.data[at]);
        return printf("\n") != 1;
    }
    if (argc == 2 && !strcmp(argv[1], "--read")) {
        for (unsigned int byte; m.size < MAX_MESSAGE && scanf("%2x", &byte) == 1;)
            m.data[m.size++] = (unsigned char)byte;
        return !print_message(&m, &(struct session){0});
    }
    argc -= truncate;
    argv += truncate;
    uint32_t rank = 0;
    char *axis = argc > 3 ? argv[3] : "";
    while (rank < MAX_RANK && (axes[rank++] = strtoll(axis, &axis, 10)) > 0 && *axis == 'x')
        axis++;
    if (axes[rank - 1] <= 0 || *axis)
        exit((fprintf(stderr, "usage: tensor_client [--truncate] SOCKET MODEL AXIS[xAXIS...] [VALUE...]\n"), 2));
    return talk(argv[1], argv[2], rank, axes, argv + 4, argc - 4, truncate);
}
