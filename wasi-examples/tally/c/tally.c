// Adds up amounts by name. See docs/languages.md.
//
// C has no JSON of its own, so this reads just what the task has: an array of objects with a name
// and a whole amount. Names are kept as they are written, with their escapes.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *name;
    long long amount;
} Row;

static const char *at;

static void fail(const char *expected) {
    fprintf(stderr, "expected %s at \"%.20s\"\n", expected, at);
    exit(1);
}

static char next(void) {
    while (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t') at++;
    return *at;
}

static int take(char wanted) {
    if (next() != wanted) return 0;
    at++;
    return 1;
}

static char *string(void) {
    if (!take('"')) fail("a string");
    const char *start = at;
    for (; *at != '"'; at++) {
        if (*at == '\\' && at[1]) at++;
        if (!*at) fail("the end of a string");
    }
    size_t length = at++ - start;
    char *text = malloc(length + 1);
    if (!text) fail("more memory");
    memcpy(text, start, length);
    text[length] = 0;
    return text;
}

static long long whole(void) {
    next();
    char *end;
    long long number = strtoll(at, &end, 10);
    if (end == at) fail("a whole number");
    at = end;
    return number;
}

static Row row(void) {
    Row row = {NULL, 0};
    if (!take('{')) fail("an object");
    do {
        char *key = string();
        if (!take(':')) fail("':'");
        if (!strcmp(key, "name")) row.name = string();
        else if (!strcmp(key, "amount")) row.amount = whole();
        else fail("\"name\" or \"amount\" before");
        free(key);
    } while (take(','));
    if (!take('}')) fail("'}'");
    if (!row.name) fail("a name before");
    return row;
}

static int by_name(const void *one, const void *other) {
    return strcmp(((const Row *)one)->name, ((const Row *)other)->name);
}

static char *read_all(void) {
    size_t length = 0, room = 1 << 16;
    char *input = malloc(room);
    while (input) {
        length += fread(input + length, 1, room - 1 - length, stdin);
        if (length < room - 1) break;
        input = realloc(input, room *= 2);
    }
    if (!input) abort();
    input[length] = 0;
    return input;
}

int main(void) {
    at = read_all();
    Row *rows = NULL;
    size_t count = 0, room = 0;
    if (!take('[')) fail("an array");
    if (!take(']')) {
        do {
            if (count == room) rows = realloc(rows, (room = room ? 2 * room : 64) * sizeof *rows);
            if (!rows) abort();
            rows[count++] = row();
        } while (take(','));
        if (!take(']')) fail("']'");
    }
    if (next()) fail("the end");
    qsort(rows, count, sizeof *rows, by_name);
    putchar('{');
    for (size_t first = 0, end; first < count; first = end) {
        long long sum = 0;
        for (end = first; end < count && !strcmp(rows[first].name, rows[end].name); end++) {
            sum += rows[end].amount;
        }
        printf("%s\"%s\":%lld", first ? "," : "", rows[first].name, sum);
    }
    puts("}");
    return 0;
}
